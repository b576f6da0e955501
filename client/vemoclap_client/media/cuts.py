"""Where the picture is cut: sampled frames whose colours differ much from those before them.

Source: the comparison of colour histograms, one of the oldest ways to find cuts (Boreczky and Rowe,
Comparison of video shot boundary detection techniques, 1996). Fades and wipes are not found.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

LEVELS = 8
"""Of each colour: 512 bins."""

STEP = 4
"""Every fourth pixel of every fourth row is enough for a share."""

CUT_MIN = 0.35
"""The share of pixels with other colours from which on two frames are of two shots: it was 0.23 at
most half a second apart in one shot, and 0.43 at least between two clips (docs/researchers.md)."""

Colours = NDArray[np.float64]
"""Share of the pixels in each bin, float64 [512]."""


def count_colours(image: NDArray[np.uint8]) -> Colours:
    """The colours of a frame, uint8 [H, W, 3]."""
    levels = (image[::STEP, ::STEP] // (256 // LEVELS)).astype(np.int64)
    bins = (levels @ np.array([LEVELS**2, LEVELS, 1])).ravel()
    return np.asarray(np.bincount(bins, minlength=LEVELS**3) / max(1, bins.size))


def colour_difference(before: Colours, after: Colours) -> float:
    """The share of pixels whose colours are not in the other frame, 0 to 1."""
    return float(1 - np.minimum(before, after).sum())


class Cuts:
    """Says of frames, one after the other, whether they begin another shot."""

    def __init__(self) -> None:
        """No frame was seen."""
        self._before: Colours | None = None

    def is_cut(self, image: NDArray[np.uint8]) -> bool:
        """Whether the picture is cut between the frame before and this one; not at the first."""
        colours = count_colours(image)
        before, self._before = self._before, colours
        return before is not None and colour_difference(before, colours) >= CUT_MIN


def find_cuts(images: Iterable[NDArray[np.uint8]]) -> tuple[int, ...]:
    """The indexes of the frames that begin another shot, of frames in order."""
    cuts = Cuts()
    return tuple(index for index, image in enumerate(images) if cuts.is_cut(image))
