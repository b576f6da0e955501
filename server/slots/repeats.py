"""Frames that show what the one before them shows: what is read from one, holds for the others."""

import cv2
import numpy as np
from numpy.typing import NDArray

REDUCED_BY = 4
"""Frames are compared at a quarter of their size."""
BLOCK_SIZE = (8, 4)
"""Width and height, in reduced pixels, of the blocks that are compared: a letter or two."""
SAME_BLOCK_DIFFERENCE = 8.0
"""Mean difference of a block, in grey levels, below which it shows the same. Where a caption
changes on a still picture some block differs by 47 or more, where none changes by 1 at most."""


def first_shown(frames: NDArray[np.uint8]) -> list[int]:
    """Of each frame, uint8 [n, H, W, 3], the index of the first of the equal frames in its row.

    Its own, where it differs from the first of those before it.
    """
    first: list[int] = []
    compared = None
    for index, frame in enumerate(frames):
        reduced = reduce(frame)
        if compared is not None and not differs(reduced, compared):
            first.append(first[-1])
        else:
            first.append(index)
            compared = reduced
    return first


def reduce(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A frame, uint8 [H, W, 3], as float32 [H / 4, W / 4] of grey levels."""
    height, width = (max(1, side // REDUCED_BY) for side in frame.shape[:2])
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)


def differs(frame: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether two reduced frames of one size differ in any block."""
    difference = cv2.boxFilter(np.abs(frame - other), -1, BLOCK_SIZE)
    return float(difference.max()) > SAME_BLOCK_DIFFERENCE
