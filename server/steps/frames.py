"""Slot frame_preprocessor: a clip's frames as the image encoder sees them.

Source: CLIP's transform as VEMOCLAP uses it (values / 255, bicubic antialiased resize of the
shorter side to 224, centre crop 224). Mean and deviation are inside the encoder's graph.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from server.steps.step import Infer, Tensors

SIDE_PX = 224


class FramePreprocessor:
    """FRAMES uint8 [16, H, W, 3] -> PIXELS float32 [16, 3, 224, 224].

    Values are about [0, 1]: bicubic filtering may overshoot at sharp edges, as it does there.
    """

    def __init__(self, version_directory: Path) -> None:
        """Needs no files."""

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Resizes and crops every frame."""
        return {"PIXELS": np.stack([preprocess(frame) for frame in inputs["FRAMES"]])}


def preprocess(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """One frame, uint8 [H, W, 3] -> float32 [3, 224, 224]."""
    height, width = frame.shape[:2]
    scale = SIDE_PX / min(height, width)
    # Truncated as torchvision's Resize does; the shorter side comes out as 224 exactly.
    size = tuple(
        SIDE_PX if side == min(height, width) else int(side * scale) for side in (width, height)
    )
    channels = [_resize(frame[..., channel], size) for channel in range(3)]
    pixels: NDArray[np.float32] = np.divide(_centre_crop(np.stack(channels)), np.float32(255))
    return pixels


def _resize(channel: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.float32]:
    # Mode F keeps fractions and overshoot, which mode RGB would round and clip.
    image = Image.fromarray(channel.astype(np.float32), "F")
    return np.asarray(image.resize((size[0], size[1]), Image.Resampling.BICUBIC))


def _centre_crop(image: NDArray[Any]) -> NDArray[Any]:
    top, left = (round((side - SIDE_PX) / 2) for side in image.shape[1:])
    return image[:, top : top + SIDE_PX, left : left + SIDE_PX]
