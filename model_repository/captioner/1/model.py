from server.slots.caption import Captioner
from server.slots.serving import triton_model

TritonPythonModel = triton_model(Captioner)
