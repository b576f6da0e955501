from server.slots.serving import triton_model
from server.slots.translation import Translator

TritonPythonModel = triton_model(Translator)
