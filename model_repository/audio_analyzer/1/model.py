from server.slots.audio import AudioAnalyzer
from server.slots.serving import triton_model

TritonPythonModel = triton_model(AudioAnalyzer)
