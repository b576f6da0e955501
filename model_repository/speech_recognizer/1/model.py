from server.slots.serving import triton_model
from server.slots.speech import SpeechRecognizer

TritonPythonModel = triton_model(SpeechRecognizer)
