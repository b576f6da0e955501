from server.steps.report import LengthCollector
from server.steps.triton import triton_model

TritonPythonModel = triton_model(LengthCollector)
