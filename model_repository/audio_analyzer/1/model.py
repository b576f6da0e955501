from server.steps.audio import AudioAnalyzer
from server.steps.triton import triton_model

TritonPythonModel = triton_model(AudioAnalyzer)
