"""Slot frame_decoder: frames as JPEG files -> their pixels."""

import asyncio
from collections.abc import Sequence
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
    frames = [_decode(number, file) for number, file in enumerate(files)]
    for number, frame in enumerate(frames):
        if frame.shape != frames[0].shape:
            sizes = [f"{width} x {height}" for height, width, _ in (frame.shape, frames[0].shape)]
            raise FrameError(
                f"frame {number} has {sizes[0]} pixels and frame 0 has {sizes[1]}: all frames of a "
                "request must have one size"
            )
    return np.stack(frames)


def decoded_size(files: Sequence[bytes]) -> int:
    """Bytes of the pixels of several JPEG files of one size; of no JPEG file, its own bytes."""
    try:
        with Image.open(BytesIO(files[0]), formats=["JPEG"]) as picture:
            return len(files) * picture.width * picture.height * len("RGB")
    except (OSError, Image.DecompressionBombError):
        return sum(map(len, files))


def _decode(number: int, file: bytes) -> NDArray[np.uint8]:
    try:
        with Image.open(BytesIO(file), formats=["JPEG"]) as picture:
            if max(picture.size) > LARGEST_SIDE_PX:  # Known from the header, before it is decoded.
                raise FrameError(
                    f"frame {number} has {picture.width} x {picture.height} pixels, and at most "
                    f"{LARGEST_SIDE_PX} a side are decoded"
                )
            return np.asarray(picture.convert("RGB"), np.uint8)
    except (OSError, Image.DecompressionBombError) as error:
        raise FrameError(f"frame {number} of {len(file)} bytes is no JPEG file: {error}") from error
