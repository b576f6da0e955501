from server.steps.report import AnalysisWriter
from server.steps.triton import triton_model

TritonPythonModel = triton_model(AnalysisWriter)
