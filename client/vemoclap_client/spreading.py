"""The probabilities of any stretch of a clip, from those of the windows that overlap it."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Protocol

from vemoclap_client.contract import EMOTIONS
from vemoclap_client.errors import OutputError
from vemoclap_client.result import Judgement

FPS_MAX = 100.0
ROWS_MAX = 1_000_000
"""Of one table: 11 days at a row a second, 2.8 hours at 100."""


class Spoken(Protocol):
    """What has probabilities and a place in the clip, as timeline.Window."""

    @property
    def start_s(self) -> float:
        """When it begins."""

    @property
    def end_s(self) -> float:
        """When it ends."""

    @property
    def probabilities(self) -> Mapping[str, float]:
        """Emotion -> probability."""


class DenseRow(Judgement, frozen=True, kw_only=True):
    """The probabilities of a short stretch of a clip, in seconds from its start."""

    start_s: float
    end_s: float


class Spread:
    """The probabilities of stretches of a clip with these windows.

    Those of a stretch are the mean of the windows that overlap it, each weighted by the seconds of
    the stretch that it covers. Where none does, they are those of the window that is nearest.
    """

    def __init__(self, windows: Sequence[Spoken]) -> None:
        """Takes a timeline's windows: one or more, in order of their starts and of their ends."""
        self._windows = windows
        self._starts = [window.start_s for window in windows]
        self._ends = [window.end_s for window in windows]

    def between(self, start_s: float, end_s: float) -> dict[str, float]:
        """Emotion -> probability, of a stretch of a clip."""
        first, last = bisect_right(self._ends, start_s), bisect_left(self._starts, end_s)
        overlapping = self._windows[first:last]
        if not overlapping:
            # Before the first or after the last window, or a stretch without length.
            nearest = min(
                self._windows,
                key=lambda window: max(window.start_s - end_s, start_s - window.end_s),
            )
            return dict(nearest.probabilities)
        weights = [min(end_s, w.end_s) - max(start_s, w.start_s) for w in overlapping]
        covered = sum(weights)
        if not covered:
            weights, covered = [1.0] * len(overlapping), float(len(overlapping))
        return {
            name: round(
                sum(
                    weight * window.probabilities[name]
                    for weight, window in zip(weights, overlapping, strict=True)
                )
                / covered,
                6,
            )
            for name in EMOTIONS
        }


def check_fps(fps: float | None) -> None:
    """Returns if a table can have so many rows a second.

    Raises:
        ValueError: it cannot.
    """
    if fps is not None and not 0 < fps <= FPS_MAX:
        raise ValueError(
            f"there can be more than 0 and at most {FPS_MAX:g} rows a second, not {fps}"
        )


def dense_rows(windows: Sequence[Spoken], duration_s: float, fps: float) -> list[DenseRow]:
    """A row for each stretch of 1 / fps seconds; the last one ends with the clip.

    Raises:
        OutputError: they would be more than ROWS_MAX.
        ValueError: as check_fps.
    """
    check_fps(fps)
    # A clip of 2 s has 20 rows of 0.1 s, though 2 * 10 may not be exact.
    count = max(1, ceil(round(duration_s * fps, 6)))
    if count > ROWS_MAX:
        raise OutputError(
            f"{duration_s:.0f} s with {fps:g} rows a second are {count} rows; there can be "
            f"{ROWS_MAX}. Choose a smaller --fps."
        )
    spread = Spread(windows)
    rows = []
    for number in range(count):
        start_s, end_s = round(number / fps, 6), round(min((number + 1) / fps, duration_s), 6)
        rows.append(
            DenseRow(start_s=start_s, end_s=end_s, probabilities=spread.between(start_s, end_s))
        )
    return rows
