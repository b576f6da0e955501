from server.slots.analysis import LengthCollector
from server.slots.serving import triton_model

TritonPythonModel = triton_model(LengthCollector)
