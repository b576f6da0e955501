"""Reads the metadata of an ONNX file without reading its graph, which may be gigabytes.

Source: the field numbers are those of onnx.proto; the encoding is Protocol Buffers'.
"""

from pathlib import Path
from typing import BinaryIO

METADATA_PROPS = 14
"""Field of ModelProto: repeated {key = 1, value = 2}, both texts."""

VARINT, LENGTH_DELIMITED = 0, 2


def read_metadata(path: Path) -> dict[str, str]:
    """Key -> value of the file's `metadata_props`."""
    found = {}
    with path.open("rb") as file:
        end = path.stat().st_size
        while file.tell() < end:
            field, kind = divmod(_varint(file), 8)
            if kind == VARINT:
                _varint(file)
            elif kind != LENGTH_DELIMITED:
                raise ValueError(f"{path} is no ONNX file")
            elif field == METADATA_PROPS:
                entry_end = _varint(file) + file.tell()
                texts = {1: "", 2: ""}
                while file.tell() < entry_end:
                    part = _varint(file) // 8
                    texts[part] = file.read(_varint(file)).decode()
                found[texts[1]] = texts[2]
            else:
                file.seek(_varint(file) + file.tell())
    return found


def _varint(file: BinaryIO) -> int:
    """A number of 7 bits a byte, the lowest first; the last byte's highest bit is 0."""
    value = shift = 0
    while True:
        (byte,) = file.read(1)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7
