"""What the processes say to each other: typed documents, and arrays as their bytes.

Nothing is pickled: what a decoder says that a file has taken over must not run code here.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from vemoclap_client.contract import FRAME_COUNT, FRAME_LONGER_SIDE_MAX_PX
from vemoclap_client.limited.limits import DecodingLimits
from vemoclap_client.media._sound_parts import AudioWindows, SpeechPiece
from vemoclap_client.media.parts import DecodedWindow, FrameBlock
from vemoclap_client.media.video import DecodedClip

LENGTH_BYTES = 4
DOCUMENT_MAX_BYTES = 1 << 20
ARRAY_MAX_BYTES = FRAME_COUNT * FRAME_LONGER_SIDE_MAX_PX**2 * 3
"""16 frames; ten minutes of sound are half of it."""


class Request(msgspec.Struct, frozen=True):
    """What is to be decoded.

    Attributes:
        task: name of one of _tasks.TASKS.
        folder: from which the paths start.
        paths: the files, as the file system encodes them.
        arguments: of the task.
        written_bytes: largest file that it may write.
    """

    task: str
    folder: bytes
    paths: tuple[bytes, ...]
    arguments: dict[str, int | float | None]
    limits: DecodingLimits
    written_bytes: int


class Ended(msgspec.Struct, frozen=True):
    """How a process ended.

    Attributes:
        status: as of os.waitpid.
        processor_s: that it used.
        peak_bytes: the most memory that it held.
    """

    status: int
    processor_s: float
    peak_bytes: int


@dataclass(frozen=True)
class Failure:
    """An error: the name of its type, "" for one that is not in errors.py, and its text.

    The text is encoded as the file system does, since it may hold a file's name.
    """

    kind: str
    text: bytes


@dataclass(frozen=True)
class Notice:
    """A lock that could not be set, and why."""

    text: str


@dataclass(frozen=True)
class Picture:
    """One frame, uint8 [H, W, 3]."""

    image: NDArray[np.uint8]


@dataclass(frozen=True)
class Found:
    """A file that is a video.

    Attributes:
        duration_s: as its header states it; 0 where it states none.
    """

    duration_s: float


@dataclass(frozen=True)
class Written:
    """The file is written."""


@dataclass(frozen=True)
class End:
    """Nothing follows."""


KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        AudioWindows,
        DecodedClip,
        DecodedWindow,
        End,
        Failure,
        Found,
        FrameBlock,
        Notice,
        Picture,
        SpeechPiece,
        Written,
    )
}
"""What a message can be."""


class _Header(msgspec.Struct, frozen=True):
    kind: str
    document: msgspec.Raw
    arrays: list[tuple[str, tuple[int, ...]]]


class MessageError(Exception):
    """A message that no decoder of ours sends."""


def write_message(descriptor: int, message: object) -> None:
    """Writes one message, and waits until the reader has taken it."""
    arrays: list[NDArray[Any]] = []

    def number_of(value: object) -> int:
        assert isinstance(value, np.ndarray), type(value)
        arrays.append(np.ascontiguousarray(value))
        return len(arrays) - 1

    document = msgspec.Raw(msgspec.msgpack.encode(message, enc_hook=number_of))
    shapes = [(array.dtype.str, array.shape) for array in arrays]
    header = msgspec.msgpack.encode(_Header(type(message).__name__, document, shapes))
    _write(descriptor, len(header).to_bytes(LENGTH_BYTES, "little") + header)
    for array in arrays:
        _write(descriptor, array.reshape(-1).view(np.uint8).data)


def _write(descriptor: int, data: bytes | memoryview) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def read_message(fill: Callable[[memoryview], None]) -> Any:
    """Reads one message.

    Args:
        fill: fills a buffer with the next bytes.

    Raises:
        MessageError: it is none.
    """
    length = bytearray(LENGTH_BYTES)
    fill(memoryview(length))
    encoded = bytearray(_checked(int.from_bytes(length, "little"), DOCUMENT_MAX_BYTES))
    fill(memoryview(encoded))
    try:
        header = msgspec.msgpack.decode(encoded, type=_Header)
        arrays = [_empty(dtype, shape) for dtype, shape in header.arrays]
        for array in arrays:
            fill(array.reshape(-1).view(np.uint8).data)
        return msgspec.msgpack.decode(
            header.document, type=KINDS[header.kind], dec_hook=lambda _, index: arrays[index]
        )
    except (msgspec.DecodeError, LookupError, TypeError) as error:
        raise MessageError(f"a message of the decoder is wrong: {error}") from error


def _empty(dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    if dtype not in ("|u1", "<f4") or min(shape, default=0) < 0:
        raise MessageError(f"a message of the decoder has an array {dtype} {shape}")
    count = 1
    for length in shape:
        count *= length
    _checked(count * np.dtype(dtype).itemsize, ARRAY_MAX_BYTES)
    return np.empty(shape, dtype)


def _checked(size: int, limit: int) -> int:
    if size > limit:
        raise MessageError(f"a message of the decoder claims {size} bytes; {limit} are the most")
    return size
