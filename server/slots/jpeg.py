"""Slot frame_decoder: frames as JPEG files -> their pixels."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from server.slots.frames import LARGEST_SIDE_PX
from server.slots.slot import CPU, Device, Infer, Tensors
from vemoclap_client.contract import FRAMES, JPEG_FRAMES


class FrameError(ValueError):
    """A frame is no picture, too large, or not of the first frame's size; says which."""


class FrameDecoder:
    """JPEG_FRAMES [16], each a file -> FRAMES uint8 [16, H, W, 3], RGB."""

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Needs no files."""

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Decodes one clip's frames.

        Raises:
            FrameError: see decode_frames.
        """
        return {FRAMES: await asyncio.to_thread(decode_frames, inputs[JPEG_FRAMES].tolist())}


def decode_frames(files: Sequence[bytes]) -> NDArray[np.uint8]:
    """The pixels of several JPEG files of one size, RGB uint8 [n, H, W, 3].

    Raises:
        FrameError: one is no JPEG file, has a side of more than 4096 pixels, or its size is not
            that of the first.
    """
    with _opened(0, files[0]) as picture:
        size = picture.size
        _check(0, size, size)
    frames = np.empty((len(files), size[1], size[0], len("RGB")), np.uint8)
    for number, file in enumerate(files):
        with _opened(number, file) as picture:
            # Known from the header: what was counted when the request came, is what is decoded.
            _check(number, picture.size, size)
            frames[number] = np.asarray(picture.convert("RGB"))
    return frames


def decoded_size(files: Sequence[bytes]) -> int:
    """Bytes of the pixels of several JPEG files of one size; of no JPEG file, its own bytes."""
    try:
        with Image.open(BytesIO(files[0]), formats=["JPEG"]) as picture:
            return len(files) * picture.width * picture.height * len("RGB")
    except (OSError, Image.DecompressionBombError):
        return sum(map(len, files))


@contextmanager
def _opened(number: int, file: bytes) -> Iterator[Image.Image]:
    """A frame whose header has been read; raises FrameError, also for what its user decodes."""
    try:
        with Image.open(BytesIO(file), formats=["JPEG"]) as picture:
            yield picture
    except (OSError, Image.DecompressionBombError) as error:
        raise FrameError(f"frame {number} of {len(file)} bytes is no JPEG file: {error}") from error


def _check(number: int, size: tuple[int, int], first: tuple[int, int]) -> None:
    """Raises FrameError for a frame of a width and height that is not decoded."""
    width, height = size
    if max(size) > LARGEST_SIDE_PX:
        raise FrameError(
            f"frame {number} has {width} x {height} pixels, and at most {LARGEST_SIDE_PX} a side "
            "are decoded"
        )
    if size != first:
        raise FrameError(
            f"frame {number} has {width} x {height} pixels and frame 0 has {first[0]} x "
            f"{first[1]}: all frames of a request must have one size"
        )
