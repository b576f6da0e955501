from server.steps.speech import SpeechRecognizer
from server.steps.triton import triton_model

TritonPythonModel = triton_model(SpeechRecognizer)
