from server.steps.frames import FramePreprocessor
from server.steps.triton import triton_model

TritonPythonModel = triton_model(FramePreprocessor)
