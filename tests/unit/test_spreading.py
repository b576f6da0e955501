"""The probabilities of any stretch of a clip, and tables of many rows a second."""

from itertools import pairwise

import pytest

from tests.timelines import make_window, probabilities
from vemoclap_client.errors import OutputError
from vemoclap_client.spreading import FPS_MAX, ROWS_MAX, Spread, dense_rows

JOY, FEAR = probabilities("joy", 0.9), probabilities("fear", 0.6)
WINDOWS = [make_window(0, 8, JOY), make_window(4, 12, FEAR)]


@pytest.mark.parametrize(
    ("start_s", "end_s", "share_of_joy"),
    [
        (0, 4, 1.0),
        (8, 12, 0.0),
        (4, 8, 0.5),
        # 3 s of the first window, 1 s of the second.
        (2, 5, 3 / 4),
        (0, 12, 0.5),
        # What is said may end after the last picture, and take no time.
        (11, 20, 0.0),
        (13, 14, 0.0),
        (2, 2, 1.0),
        (6, 6, 0.5),
        (12, 12, 0.0),
        (0, 0, 1.0),
    ],
)
def test_a_stretch_has_the_mean_of_its_windows_by_seconds(
    start_s: float, end_s: float, share_of_joy: float
) -> None:
    found = Spread(WINDOWS).between(start_s, end_s)
    for name, value in found.items():
        expected = share_of_joy * JOY[name] + (1 - share_of_joy) * FEAR[name]
        assert value == pytest.approx(expected, abs=1e-6)
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)


def test_rows_follow_each_other_to_the_clip_s_end() -> None:
    rows = dense_rows(WINDOWS, 12.3, 4)
    assert len(rows) == 50
    assert (rows[0].start_s, rows[-1].end_s) == (0, 12.3)
    assert all(one.end_s == other.start_s for one, other in pairwise(rows))
    assert {round(row.end_s - row.start_s, 6) for row in rows} == {0.25, 0.05}
    assert [rows[i].emotion for i in (0, 15, 16, 31, 32, 49)] == [
        *("joy", "joy", "joy", "joy", "fear", "fear")
    ]
    assert rows[20].probabilities["joy"] == pytest.approx((JOY["joy"] + FEAR["joy"]) / 2)


@pytest.mark.parametrize(
    ("duration_s", "fps", "count"), [(2, 10, 20), (0.3, 10, 3), (0.7, 30, 21), (0.01, 1, 1)]
)
def test_there_is_no_row_too_many(duration_s: float, fps: float, count: int) -> None:
    windows = [make_window(0, duration_s, JOY)]
    assert len(dense_rows(windows, duration_s, fps)) == count


@pytest.mark.parametrize("fps", [0, -1, FPS_MAX + 1, float("nan"), float("inf")])
def test_a_wrong_rate_is_refused(fps: float) -> None:
    with pytest.raises(ValueError, match="rows a second"):
        dense_rows(WINDOWS, 12, fps)


def test_too_many_rows_are_refused_before_they_are_made() -> None:
    with pytest.raises(OutputError, match="smaller --fps"):
        dense_rows(WINDOWS, ROWS_MAX / FPS_MAX + 1, FPS_MAX)
