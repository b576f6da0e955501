from server.slots.stream_serving import StreamModel

TritonPythonModel = StreamModel
