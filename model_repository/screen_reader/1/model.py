from server.slots.screen import ScreenReader
from server.slots.serving import triton_model

TritonPythonModel = triton_model(ScreenReader)
