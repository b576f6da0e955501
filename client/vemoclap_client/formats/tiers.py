"""A timeline as tiers of annotations, as ELAN and Praat have them.

Within a tier nothing overlaps. Faces, which can, are spread over as many tiers as needed: "face 1",
"face 2" and so on, whose annotations are the numbers of the tracks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from unicodedata import category

from vemoclap_client.formats.subtitles import make_cues
from vemoclap_client.timeline import Timeline, TimelineFace
from vemoclap_client.tracks import GAP_MAX_S


@dataclass(frozen=True)
class Annotation:
    """A text for a stretch of the clip, in whole milliseconds from its start."""

    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True)
class Tier:
    """Annotations in order, of which none overlap.

    Attributes:
        name: unique among a timeline's tiers.
        annotations: none of them is empty in time.
        parent: name of the tier within whose annotations these lie; None for a tier of its own.
    """

    name: str
    annotations: tuple[Annotation, ...]
    parent: str | None = None


def make_tiers(timeline: Timeline) -> tuple[Tier, ...]:
    """Emotions, utterances with their emotions, on-screen text, faces with their expressions."""
    cues = make_cues(timeline)
    emotions = [Annotation(cue.start_ms, cue.end_ms, cue.emotion) for cue in cues]
    shares = [Annotation(cue.start_ms, cue.end_ms, f"{cue.probability:.2f}") for cue in cues]
    utterances = _apart(
        (Annotation(_ms(said.start_s), _ms(said.end_s), _clean(said.text)), said.emotion or "")
        for said in timeline.utterances
    )
    of_utterances = [
        Annotation(said.start_ms, said.end_ms, emotion) for said, emotion in utterances if emotion
    ]
    texts = [
        Annotation(_ms(shown.start_s), _ms(shown.end_s), _clean(" / ".join(shown.lines)))
        for shown in timeline.screen_texts
    ]
    return (
        Tier("emotion", tuple(emotions)),
        Tier("probability", tuple(shares), "emotion"),
        Tier("utterance", tuple(said for said, _ in utterances)),
        Tier("utterance emotion", tuple(of_utterances), "utterance"),
        Tier("screen text", tuple(texts)),
        *_face_tiers(timeline),
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _clean(text: str) -> str:
    """A text on one line, without the characters that XML does not allow.

    Format characters stay: some join or part the letters of a word, as in Persian.
    """
    allowed = (each if each.isprintable() or category(each) == "Cf" else " " for each in text)
    return " ".join("".join(allowed).split())


def _apart(
    annotations: Iterable[tuple[Annotation, str]],
) -> list[tuple[Annotation, str]]:
    """Annotations in order of their starts, each cut to begin after the one before it."""
    kept: list[tuple[Annotation, str]] = []
    for annotation, label in annotations:
        earliest = kept[-1][0].end_ms if kept else 0
        start_ms = max(annotation.start_ms, earliest)
        if start_ms < annotation.end_ms:
            kept.append((Annotation(start_ms, annotation.end_ms, annotation.text), label))
    return kept


def _face_tiers(timeline: Timeline) -> Iterable[Tier]:
    ends_ms = frame_ends_ms(timeline)
    tracks = sorted(timeline.faces, key=lambda face: (face.track, face.time_s))
    lanes: list[list[tuple[Annotation, list[Annotation]]]] = []
    spans = [
        _span(track, list(faces), ends_ms)
        for track, faces in groupby(tracks, key=lambda face: face.track)
    ]
    for span, runs in sorted(spans, key=lambda item: item[0].start_ms):
        free = (lane for lane in lanes if lane[-1][0].end_ms <= span.start_ms)
        lane = next(free, None)
        if lane is None:
            lane = []
            lanes.append(lane)
        lane.append((span, runs))
    for number, lane in enumerate(lanes, 1):
        yield Tier(f"face {number}", tuple(span for span, _ in lane))
        expressions = tuple(run for _, runs in lane for run in runs)
        yield Tier(f"expression {number}", expressions, f"face {number}")


def frame_ends_ms(timeline: Timeline) -> dict[int, int]:
    """When a sampled frame is shown -> until when it stands for the clip."""
    times_s = {time_s for window in timeline.windows for time_s in window.frame_times_s}
    starts = sorted(times_s | {face.time_s for face in timeline.faces})
    ends = [*starts[1:], timeline.duration_s]
    return {
        _ms(start): min(_ms(end), _ms(start + GAP_MAX_S))
        for start, end in zip(starts, ends, strict=True)
    }


def _span(
    track: int, faces: Sequence[TimelineFace], ends_ms: dict[int, int]
) -> tuple[Annotation, list[Annotation]]:
    """A track from its first frame to the end of its last, and its runs of one expression."""
    runs: list[Annotation] = []
    for face in faces:
        start_ms = _ms(face.time_s)
        end_ms = max(ends_ms[start_ms], start_ms + 1)
        if runs and (runs[-1].end_ms, runs[-1].text) == (start_ms, face.expression):
            start_ms = runs.pop().start_ms
        runs.append(Annotation(start_ms, end_ms, face.expression))
    return Annotation(runs[0].start_ms, runs[-1].end_ms, str(track)), runs
