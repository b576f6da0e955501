from server.slots.jpeg import FrameDecoder
from server.slots.serving import triton_model

TritonPythonModel = triton_model(FrameDecoder)
