"""Writes what a clip's request to Triton consists of, for clients in other languages.

    python client/examples/prepare.py CLIP FOLDER

Into FOLDER: 0.jpg to 15.jpg, the frames; sound.f32, the sound: 16 kHz, mono, little-endian
float32; triton.protoset, the description of Triton's gRPC messages; request.json, the whole request
for grpcurl.
"""

import sys
from pathlib import Path

import numpy as np
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.json_format import MessageToJson
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import serialize_byte_tensor

from vemoclap_client.media.jpeg import encode_jpeg
from vemoclap_client.media.video import decode


def main(clip: str, folder: Path) -> None:
    """Writes the files."""
    folder.mkdir(parents=True, exist_ok=True)
    decoded = decode(clip)
    files, sound = encode_jpeg(decoded.frames), decoded.audio.astype("<f4")
    for index, file in enumerate(files):
        (folder / f"{index}.jpg").write_bytes(file)
    (folder / "sound.f32").write_bytes(sound.tobytes())

    protoset = FileDescriptorSet()
    for module in (model_config_pb2, service_pb2):
        module.DESCRIPTOR.CopyToProto(protoset.file.add())
    (folder / "triton.protoset").write_bytes(protoset.SerializeToString())

    request = service_pb2.ModelInferRequest(model_name="vemoclap_jpeg")
    request.inputs.add(name="JPEG_FRAMES", datatype="BYTES", shape=[1, len(files)])
    request.inputs.add(name="AUDIO", datatype="FP32", shape=[1, len(sound)])
    request.raw_input_contents.append(serialize_byte_tensor(np.asarray(files)).item())
    request.raw_input_contents.append(sound.tobytes())
    # As "probability:index:emotion", the most probable first, instead of as numbers.
    request.outputs.add(name="PROBABILITIES").parameters["classification"].int64_param = 6
    (folder / "request.json").write_text(MessageToJson(request, preserving_proto_field_name=True))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
