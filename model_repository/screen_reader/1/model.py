from server.steps.screen import ScreenReader
from server.steps.triton import triton_model

TritonPythonModel = triton_model(ScreenReader)
