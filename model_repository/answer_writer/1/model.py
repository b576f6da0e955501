from server.slots.analysis import AnswerWriter
from server.slots.serving import triton_model

TritonPythonModel = triton_model(AnswerWriter)
