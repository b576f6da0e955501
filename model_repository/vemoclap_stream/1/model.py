from server.steps.stream_model import StreamModel

TritonPythonModel = StreamModel
