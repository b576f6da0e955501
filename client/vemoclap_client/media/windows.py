"""Where a timeline's windows lie: their times, and those of their frames."""

from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

from vemoclap_client.contract import FRAME_COUNT

WINDOW_MIN_S, WINDOW_MAX_S = 1, 600
"""A longer window has no more frames and audio windows than this one."""

HOP_MIN_S = 0.25

HOPS_PER_WINDOW_MAX = 16
"""As many frames as a window has: beyond that, windows share nearly all of them."""

WINDOWS_MAX = 50_000
"""More than a clip can have: 62 hours at the default hop. A few bytes can claim any duration."""

TAIL_MAX_S = 1
"""A shorter rest at the clip's end lengthens the last window rather than adding one."""


class TooManyWindowsError(Exception):
    """A clip is too long for windows of a length; the text says how long."""


@dataclass(frozen=True)
class WindowTimes:
    """When a window begins and ends, in seconds from the clip's start."""

    start_s: Fraction
    end_s: Fraction

    def frames_s(self) -> list[Fraction]:
        """The 16 even times whose nearest frames stand for the window."""
        length_s = self.end_s - self.start_s
        return [self.start_s + i * length_s / FRAME_COUNT for i in range(FRAME_COUNT)]


def check_lengths(window_s: float, hop_s: float) -> None:
    """Returns if windows can have these lengths.

    Raises:
        ValueError: one is out of range, or windows would leave gaps or overlap too much.
    """
    if not (isfinite(window_s) and WINDOW_MIN_S <= window_s <= WINDOW_MAX_S):
        raise ValueError(f"a window must last {WINDOW_MIN_S} to {WINDOW_MAX_S} s, not {window_s}")
    least_s = max(HOP_MIN_S, window_s / HOPS_PER_WINDOW_MAX)
    if not (isfinite(hop_s) and least_s <= hop_s <= window_s):
        raise ValueError(
            f"windows of {window_s:g} s must begin {least_s:g} to {window_s:g} s after each other, "
            f"not {hop_s}"
        )


def plan_windows(duration_s: Fraction, window_s: float, hop_s: float) -> list[WindowTimes]:
    """Where the windows of a clip lie: together they cover it from its start to its end.

    A window begins every hop. What is left at the end gets one more window, which ends with
    the clip and is as long as the others; or it lengthens the last window, if it is shorter
    than TAIL_MAX_S and half a hop. A clip no longer than that is one window.

    Raises:
        ValueError: as check_lengths.
        TooManyWindowsError: the clip is so long that there are more than WINDOWS_MAX.
    """
    check_lengths(window_s, hop_s)
    window, hop = _exact(window_s), _exact(hop_s)
    if duration_s <= window:
        return [WindowTimes(Fraction(0), duration_s)]
    steps = (duration_s - window) // hop
    if steps >= WINDOWS_MAX:
        raise TooManyWindowsError(
            f"the file claims to last {float(duration_s):.0f} s, which are {steps + 1} windows; "
            f"there can be {WINDOWS_MAX}. Choose longer windows."
        )
    windows = [WindowTimes(i * hop, i * hop + window) for i in range(steps + 1)]
    rest = duration_s - windows[-1].end_s
    if rest >= min(Fraction(TAIL_MAX_S), hop / 2):
        windows.append(WindowTimes(duration_s - window, duration_s))
    else:
        windows[-1] = WindowTimes(windows[-1].start_s, duration_s)
    return windows


def _exact(seconds: float) -> Fraction:
    """The decimal number that the user wrote: 0.1 is a tenth."""
    return Fraction(repr(float(seconds)))
