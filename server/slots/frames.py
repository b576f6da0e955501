"""Slot frame_preprocessor: a clip's frames as the image encoder takes them.

Source: CLIP's transform as VEMOCLAP uses it (values / 255, bicubic antialiased resize of the
shorter side to 224, centre crop 224). Mean and deviation are inside the encoder's graph.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from server.slots.slot import CPU, Device, Infer, Tensors

SIDE_PX = 224
SMALLEST_SIDE_PX = 8
LARGEST_SIDE_PX = 4096
BICUBIC_SUPPORT = 2
"""Pixels on each side that bicubic filtering reads, in those of the coarser image."""


class FramePreprocessor:
    """FRAMES uint8 [16, H, W, 3] -> PIXELS float32 [16, 3, 224, 224].

    Values are about [0, 1]: bicubic filtering may overshoot at sharp edges, as it does there.
    """

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Needs no files."""

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Resizes and crops every frame; unusable frames become black."""
        frames = inputs["FRAMES"]
        if unusable(frames):
            return {"PIXELS": np.zeros((len(frames), 3, SIDE_PX, SIDE_PX), np.float32)}
        return {"PIXELS": np.stack([preprocess(frame) for frame in frames])}


def unusable(frames: NDArray[np.uint8]) -> str | None:
    """Why frames, uint8 [n, H, W, 3], are too small or too large; None if they are not.

    A reason and not an error, as for every absent modality. This project's clients send no such
    frames; others may.
    """
    height, width = frames.shape[1:3]
    if min(height, width) >= SMALLEST_SIDE_PX and max(height, width) <= LARGEST_SIDE_PX:
        return None
    return (
        f"frames of {width} x {height} pixels are outside what is looked at "
        f"({SMALLEST_SIDE_PX} to {LARGEST_SIDE_PX} pixels a side)"
    )


def relative_box(
    box: tuple[float, float, float, float], size: tuple[int, ...]
) -> tuple[float, float, float, float]:
    """A box x0, y0, x1, y1 in pixels of a frame of height and width `size`, as fractions of it."""
    limits = (size[1], size[0], size[1], size[0])
    x0, y0, x1, y1 = (
        round(min(max(value / limit, 0.0), 1.0), 4)
        for value, limit in zip(box, limits, strict=True)
    )
    return x0, y0, x1, y1


def preprocess(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """One frame, uint8 [H, W, 3] -> float32 [3, 224, 224]."""
    scale = SIDE_PX / min(frame.shape[:2])
    # Truncated as torchvision's Resize does; the shorter side comes out as 224 exactly.
    height, width = (max(SIDE_PX, int(side * scale)) for side in frame.shape[:2])
    margin = int(np.ceil(BICUBIC_SUPPORT * max(1.0, scale))) + 1
    rows, columns = _around_centre(height, margin), _around_centre(width, margin)
    channels = [_resize(frame[..., c], (height, width), rows, columns) for c in range(3)]
    top, left = _crop_start(height) - rows[0], _crop_start(width) - columns[0]
    cropped = np.stack(channels)[:, top : top + SIDE_PX, left : left + SIDE_PX]
    pixels: NDArray[np.float32] = np.divide(cropped, np.float32(255))
    return pixels


def _crop_start(side: int) -> int:
    return round((side - SIDE_PX) / 2)


def _around_centre(side: int, margin: int) -> tuple[int, int]:
    """First and last row of the centre crop and what its filter reaches, in the resized image."""
    start = _crop_start(side)
    return max(0, start - margin), min(side, start + SIDE_PX + margin)


def _resize(
    channel: NDArray[np.uint8],
    size: tuple[int, int],
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> NDArray[np.float32]:
    """Those rows and columns of the channel resized to `size`: the rest is never computed."""
    # Mode F keeps fractions and overshoot, which mode RGB would round and clip.
    image = Image.fromarray(channel.astype(np.float32))
    scale_y, scale_x = channel.shape[0] / size[0], channel.shape[1] / size[1]
    box = (columns[0] * scale_x, rows[0] * scale_y, columns[1] * scale_x, rows[1] * scale_y)
    wanted = (columns[1] - columns[0], rows[1] - rows[0])
    return np.asarray(image.resize(wanted, Image.Resampling.BICUBIC, box=box))
