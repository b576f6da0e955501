from server.steps.face import FaceAnalyzer
from server.steps.triton import triton_model

TritonPythonModel = triton_model(FaceAnalyzer)
