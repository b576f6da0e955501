"""Frames as JPEG files: a tenth of the bytes or less, for servers on other machines."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

QUALITY = 90
"""Of libjpeg's scale, 1 to 95: ten times fewer bytes. docs/performance.md says what it changes."""


def encode_jpeg(frames: NDArray[np.uint8]) -> NDArray[np.object_]:
    """The frames as JPEG files, bytes [n].

    Args:
        frames: RGB uint8 [n, H, W, 3], H and W at least 1.
    """
    files = np.empty(len(frames), object)
    files[:] = [_encode(frame) for frame in frames]
    return files


def _encode(frame: NDArray[np.uint8]) -> bytes:
    file = BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
