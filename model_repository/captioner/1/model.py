from server.steps.caption import Captioner
from server.steps.triton import triton_model

TritonPythonModel = triton_model(Captioner)
