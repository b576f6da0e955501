from server.steps.report import AnswerWriter
from server.steps.triton import triton_model

TritonPythonModel = triton_model(AnswerWriter)
