"""Where a clip's windows lie."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from vemoclap_client.media.parts import decode_parts
from vemoclap_client.media.windows import (
    WINDOWS_MAX,
    TooManyWindowsError,
    WindowTimes,
    check_lengths,
    plan_windows,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("duration_s", "window_s", "hop_s", "times"),
    [
        ("20", 8, 4, [(0, 8), (4, 12), (8, 16), (12, 20)]),
        ("20", 10, 10, [(0, 10), (10, 20)]),
        # A clip no longer than a window is one.
        ("0.04", 8, 4, [(0, 0.04)]),
        ("8", 8, 4, [(0, 8)]),
        # The rest gets a window that ends with the clip ...
        ("9", 8, 4, [(0, 8), (1, 9)]),
        ("22.5", 8, 4, [(0, 8), (4, 12), (8, 16), (12, 20), (14.5, 22.5)]),
        ("2.25", 1, 0.5, [(0, 1), (0.5, 1.5), (1, 2), (1.25, 2.25)]),
        # ... or lengthens the last one, if it is short.
        ("8.9", 8, 4, [(0, 8.9)]),
        ("20.9", 8, 4, [(0, 8), (4, 12), (8, 16), (12, 20.9)]),
        ("2.2", 1, 0.5, [(0, 1), (0.5, 1.5), (1, 2.2)]),
    ],
)
def test_where_windows_lie(
    duration_s: str, window_s: float, hop_s: float, times: list[tuple[float, float]]
) -> None:
    planned = plan_windows(Fraction(duration_s), window_s, hop_s)
    assert [(float(window.start_s), float(window.end_s)) for window in planned] == times


def test_a_clip_has_a_limited_number_of_windows() -> None:
    longest = Fraction(WINDOWS_MAX - 1, 4) + 1
    assert len(plan_windows(longest, 1, 0.25)) == WINDOWS_MAX
    with pytest.raises(TooManyWindowsError, match="50001 windows; there can be 50000"):
        plan_windows(longest + Fraction(1, 4), 1, 0.25)
    with pytest.raises(TooManyWindowsError):
        plan_windows(Fraction(10**12), 600, 600)


def test_lengths_are_the_decimal_numbers_that_they_look_like() -> None:
    planned = plan_windows(Fraction(12), 1.2, 0.3)
    assert len(planned) == 37
    assert planned[-1] == WindowTimes(Fraction("10.8"), Fraction(12))


@pytest.mark.parametrize(("window_s", "hop_s"), [(8, 4), (1, 1), (1, 0.25), (7.3, 2.1), (600, 40)])
def test_windows_cover_the_clip(window_s: float, hop_s: float) -> None:
    for duration in (Fraction(i * i, 7) + Fraction(1, 90_000) for i in range(1, 90)):
        planned = plan_windows(duration, window_s, hop_s)
        assert planned[0].start_s == 0
        assert planned[-1].end_s == duration
        for earlier, later in pairwise(planned):
            assert earlier.start_s < later.start_s <= earlier.end_s < later.end_s
        for times in planned:
            length_s = times.end_s - times.start_s
            assert min(duration, Fraction(str(window_s))) <= length_s < window_s + 1


@pytest.mark.parametrize(
    ("window_s", "hop_s"),
    [(0.5, 0.5), (601, 100), (8, 9), (8, 0.4), (1, 0.1), (8, 0), (8, -1), (NAN, 1), (8, NAN)],
)
def test_impossible_lengths_are_refused(window_s: float, hop_s: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must (last|begin)"):
        check_lengths(window_s, hop_s)
    with pytest.raises(ValueError, match=r"must (last|begin)"):
        next(decode_parts(tmp_path / "clip.mp4", window_s, hop_s))
