from server.slots.face import FaceAnalyzer
from server.slots.serving import triton_model

TritonPythonModel = triton_model(FaceAnalyzer)
