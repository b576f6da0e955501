from server.steps.translation import Translator
from server.steps.triton import triton_model

TritonPythonModel = triton_model(Translator)
