"""Faces keep their numbers from frame to frame, and what ends a track."""

from collections.abc import Sequence
from pathlib import Path

from av import VideoFrame
from PIL import Image

from tests.clips import write_clip
from vemoclap_client.analysis import Box, Face
from vemoclap_client.contract import EXPRESSIONS
from vemoclap_client.media.cuts import find_cuts
from vemoclap_client.media.video import decode, decode_frames
from vemoclap_client.result import with_times
from vemoclap_client.tracks import FrameBoxes, number_faces

STEP_S = 0.5625
"""Between the frames of a timeline of windows of 9 s."""

Place = tuple[float, float]


def box(middle: Place, size: float = 0.2) -> Box:
    x, y = middle
    return (x - size / 2, y - size / 2, x + size / 2, y + size / 2)


def numbers(
    frames: Sequence[Sequence[Place]], *, cuts: Sequence[int] = (), step_s: float = STEP_S
) -> list[tuple[int, ...]]:
    """The tracks of faces with these middles."""
    return number_faces(
        [
            FrameBoxes(index * step_s, index in cuts, [box(middle) for middle in middles])
            for index, middles in enumerate(frames)
        ]
    )


def line(start: Place, end: Place, count: int) -> list[Place]:
    """Places on a line, the same distance apart."""
    shares = [i / (count - 1) for i in range(count)]
    return [tuple(a + share * (b - a) for a, b in zip(start, end, strict=True)) for share in shares]  # type: ignore[misc]


def test_a_face_that_moves_across_the_picture_is_one_track() -> None:
    places = line((0.15, 0.5), (0.85, 0.4), 6)
    assert numbers([[place] for place in places]) == [(1,)] * 6


def test_two_faces_keep_their_numbers_in_whatever_order_they_are_found() -> None:
    left, right = line((0.1, 0.5), (0.35, 0.5), 5), line((0.9, 0.3), (0.65, 0.5), 5)
    frames = [[a, b] if i % 2 else [b, a] for i, (a, b) in enumerate(zip(left, right, strict=True))]
    assert numbers(frames) == [(1, 2), (2, 1), (1, 2), (2, 1), (1, 2)]


def test_faces_that_pass_at_a_distance_keep_their_numbers() -> None:
    above, below = line((0.2, 0.3), (0.8, 0.3), 7), line((0.8, 0.7), (0.2, 0.7), 7)
    assert numbers(list(zip(above, below, strict=True))) == [(1, 2)] * 7


def test_faces_that_cross_may_swap_their_numbers() -> None:
    # The limit that docs/researchers.md names: where they meet, only the nearer box counts.
    one, other = line((0.2, 0.5), (0.8, 0.5), 6), line((0.8, 0.5), (0.2, 0.5), 6)
    found = numbers(list(zip(one, other, strict=True)))
    assert found[0] == (1, 2)
    assert found[-1] == (2, 1)


def test_a_face_that_leaves_and_one_that_comes_are_two() -> None:
    assert numbers([[(0.1, 0.5)], [(0.9, 0.5)], [(0.9, 0.5)]]) == [(1,), (2,), (2,)]


def test_a_face_that_is_missed_in_two_frames_goes_on_and_in_three_does_not() -> None:
    here: list[Place] = [(0.5, 0.5)]
    assert numbers([here, [], here]) == [(1,), (), (1,)]
    assert numbers([here, [], [], here], step_s=0.5) == [(1,), (), (), (1,)]
    assert numbers([here, [], [], here], step_s=STEP_S) == [(1,), (), (), (2,)]


def test_frames_far_apart_do_not_follow_each_other() -> None:
    assert numbers([[(0.5, 0.5)]] * 3, step_s=2.0) == [(1,), (2,), (3,)]


def test_a_cut_ends_every_track() -> None:
    here: list[Place] = [(0.3, 0.5), (0.7, 0.5)]
    assert numbers([here, here, here], cuts=[2]) == [(1, 2), (1, 2), (3, 4)]


def test_a_face_three_times_as_large_is_another() -> None:
    frames = [FrameBoxes(0, False, [box((0.5, 0.5), 0.1)])]
    for size, expected in ((0.19, 1), (0.3, 2)):
        after = FrameBoxes(0.5, False, [box((0.5, 0.5), size)])
        assert number_faces([*frames, after]) == [(1,), (expected,)]


def test_boxes_without_an_extent_are_faces_of_their_own() -> None:
    flat = (0.5, 0.5, 0.5, 0.5)
    assert number_faces([FrameBoxes(0, False, [flat]), FrameBoxes(0.5, False, [flat])]) == [
        (1,),
        (2,),
    ]


def test_the_faces_of_a_result_have_tracks() -> None:
    expressions = dict.fromkeys(EXPRESSIONS, 0.0) | {"happy": 1.0}
    places: list[tuple[int, Place]] = [
        (0, (0.2, 0.5)),
        (0, (0.7, 0.5)),
        (1, (0.7, 0.5)),
        (1, (0.25, 0.5)),
        (2, (0.25, 0.5)),
    ]
    faces = tuple(Face(frame, box(place), 0.9, expressions) for frame, place in places)
    times_s = tuple(index * 0.75 for index in range(16))
    assert [face.track for face in with_times(faces, times_s, (2,))] == [1, 2, 2, 1, 3]


def test_a_cut_between_two_films_is_found_and_none_within(samples: Path) -> None:
    films = []
    for name in ("portrait.mp4", "bunny.mp4", "title_card.mp4"):
        images = decode_frames(samples / name, [i * STEP_S for i in range(9)]).images
        assert find_cuts(images) == ()
        films += list(images)
    assert find_cuts(films) == (9, 18)


def test_a_decoded_clip_knows_its_cuts(samples: Path, tmp_path: Path) -> None:
    first, second = (
        Image.fromarray(decode(samples / name).frames[8]).resize((320, 180))
        for name in ("portrait.mp4", "bunny.mp4")
    )
    shots = [first] * 30 + [second] * 30
    frames = [VideoFrame.from_image(image) for image in shots]
    write_clip(tmp_path / "clip.mp4", seconds=6, fps=10, size=(320, 180), frames=frames)
    assert decode(tmp_path / "clip.mp4").cuts == (8,)
