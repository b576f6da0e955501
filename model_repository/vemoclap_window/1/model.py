from server.slots.serving import triton_model
from server.slots.window import WindowFuser

TritonPythonModel = triton_model(WindowFuser)
