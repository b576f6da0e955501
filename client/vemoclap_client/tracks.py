"""Numbers faces, so that the same face has the same number from one sampled frame to the next.

Nothing but the boxes is compared: no face is recognised. A face continues the track whose last box
is nearest; the nearest pair first (greedy matching). docs/researchers.md says what this misses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

from vemoclap_client.analysis import Box

GAP_MAX_S = 1.5
"""A face that was not seen for longer is a new one, and a face is not drawn or written for longer
after its frame: nobody knows where it is then."""

DISTANCE_MAX = 1.0
"""How far the middle of a face may have moved, in widths and heights of the face."""

GROWTH_MAX = 2.0
"""How many times as wide or as high it may have become, or the reverse."""


@dataclass(frozen=True)
class FrameBoxes:
    """The faces of a sampled frame.

    Attributes:
        time_s: when it is shown.
        is_cut: whether the picture was cut between the frame before and this one.
        boxes: of its faces.
    """

    time_s: float
    is_cut: bool
    boxes: Sequence[Box]


@dataclass
class _Track:
    number: int
    box: Box
    time_s: float


def number_faces(frames: Sequence[FrameBoxes]) -> list[tuple[int, ...]]:
    """For each frame the track of each of its faces, numbered from 1 as they appear.

    Args:
        frames: in order of their times.
    """
    tracks: list[_Track] = []
    count = 0
    numbers: list[tuple[int, ...]] = []
    for frame in frames:
        if frame.is_cut:
            tracks = []
        tracks = [track for track in tracks if frame.time_s - track.time_s <= GAP_MAX_S]
        continued = _match(tracks, frame.boxes)
        found = []
        for index, box in enumerate(frame.boxes):
            if index in continued:
                track = continued[index]
                track.box, track.time_s = box, frame.time_s
            else:
                count += 1
                track = _Track(count, box, frame.time_s)
                tracks.append(track)
            found.append(track.number)
        numbers.append(tuple(found))
    return numbers


def _match(tracks: Sequence[_Track], boxes: Sequence[Box]) -> dict[int, _Track]:
    """Index of a box -> the track that it continues; the nearest pairs are matched first."""
    pairs = sorted(
        (distance, index, track.number, track)
        for index, box in enumerate(boxes)
        for track in tracks
        if (distance := face_distance(track.box, box)) is not None
    )
    matched: dict[int, _Track] = {}
    taken: set[int] = set()
    for _, index, number, track in pairs:
        if index not in matched and number not in taken:
            matched[index] = track
            taken.add(number)
    return matched


def face_distance(one: Box, other: Box) -> float | None:
    """How far apart the middles of two boxes are, in sizes of the face; None if too far or unlike.

    Widths and heights are shares of the picture's, so that the picture's own shape does not matter.
    """
    sizes = [(box[2] - box[0], box[3] - box[1]) for box in (one, other)]
    parts = []
    for axis in (0, 1):
        small, large = sorted(size[axis] for size in sizes)
        if small <= 0 or large > GROWTH_MAX * small:
            return None
        middles = [(box[axis] + box[axis + 2]) / 2 for box in (one, other)]
        parts.append((middles[1] - middles[0]) / ((small + large) / 2))
    distance = hypot(*parts)
    return distance if distance <= DISTANCE_MAX else None
