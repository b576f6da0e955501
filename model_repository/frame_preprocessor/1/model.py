from server.slots.frames import FramePreprocessor
from server.slots.serving import triton_model

TritonPythonModel = triton_model(FramePreprocessor)
