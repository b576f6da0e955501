"""What a classification results in: the analysis of a clip with its probabilities and times.

`EmotionResult.to_dict` is the published JSON, whose schema is schemas/result.schema.json.
"""

from collections import Counter
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from vemoclap_client.analysis import (
    Absent,
    AudioEvent,
    Face,
    FrameCaption,
    Head,
    Probability,
    ScreenText,
    Seconds,
    Speech,
    TextLine,
    Timings,
)
from vemoclap_client.contract import (
    AROUSAL,
    EMOTIONS,
    FRAME_COUNT,
    MODALITIES,
    RESULT_SCHEMA_VERSION,
    VALENCE,
)
from vemoclap_client.documents import as_text, convert_document
from vemoclap_client.tracks import FrameBoxes, number_faces

EVEN_MARGIN = 0.005
"""Probabilities that differ less from an even share are even."""
STANDS_OUT = 2 / len(EMOTIONS)
"""An emotion less probable than this, twice an even share, does not stand out."""

Difference = Annotated[float, Meta(ge=-1, le=1)]
FrameTimes = Annotated[tuple[Seconds, ...], Meta(min_length=FRAME_COUNT, max_length=FRAME_COUNT)]
Probabilities = Annotated[
    dict[str, Probability],
    Meta(
        description="Emotion -> probability; they add up to 1.",
        extra_json_schema={"required": list(EMOTIONS)},
    ),
]
Differences = Annotated[dict[str, Difference], Meta(extra_json_schema={"required": list(EMOTIONS)})]
Contributions = Annotated[
    dict[str, Differences],
    Meta(
        description="Modality -> emotion -> p(all) - p(without that modality).",
        extra_json_schema={"required": list(MODALITIES)},
    ),
]
Emotion = Annotated[str, Meta(extra_json_schema={"enum": list(EMOTIONS)})]


class TimedFace(Face, frozen=True):
    """A face, with when its frame is shown, in seconds from the clip's start.

    Attributes:
        track: the number of the face in this clip; the same face has the same number as long as it
            can be followed, through frames at most 1.5 s apart. It says nothing about who it is.
            None in documents of before result schema 1.4.
    """

    time_s: Seconds
    track: int | None = None


class TimedTextLine(TextLine, frozen=True):
    """A line of text, with when its frame is shown, in seconds from the clip's start."""

    time_s: Seconds


class TimedScreenText(ScreenText, frozen=True):
    """What was written on the screen, with times."""

    lines: Annotated[tuple[TimedTextLine, ...], Meta(min_length=1)]


class TimedCaption(FrameCaption, frozen=True):
    """A caption, with when its frame is shown, in seconds from the clip's start."""

    time_s: Seconds


class Moment(Struct, frozen=True):
    """A stretch of the clip and the share of a modality's attention that it got, 0 to 1.

    A frame's end is its start.
    """

    start_s: Seconds
    end_s: Seconds
    weight: Probability


class Conclusions(Struct, frozen=True):
    """What follows from six probabilities; part of the published JSON, computed on writing.

    Attributes:
        emotion: the most probable one; None where all are equally likely.
        valence: how pleasant, -1 to 1: the emotions' mean valence under the probabilities.
        arousal: how excited, -1 to 1: the emotions' mean arousal under the probabilities.
    """

    emotion: Emotion | None
    valence: Difference
    arousal: Difference


class Judgement(Struct, frozen=True, kw_only=True):
    """Six probabilities, emotion -> 0 to 1, and what follows from them."""

    probabilities: Probabilities

    def __post_init__(self) -> None:
        if set(self.probabilities) != set(EMOTIONS):
            raise ValueError(f"`probabilities` has not the keys {', '.join(EMOTIONS)}")

    @property
    def emotion(self) -> str | None:
        """The most probable emotion; None where all are equally likely."""
        emotion = max(self.probabilities, key=lambda name: self.probabilities[name])
        even = 1 / len(self.probabilities)
        return emotion if self.probabilities[emotion] > even + EVEN_MARGIN else None

    @property
    def stands_out(self) -> bool:
        """Whether the most probable emotion is so much more probable than an even share."""
        return max(self.probabilities.values()) >= STANDS_OUT

    @property
    def valence(self) -> float:
        """How pleasant, -1 to 1: the emotions' mean valence under the probabilities."""
        return self._expected(VALENCE)

    @property
    def arousal(self) -> float:
        """How excited, -1 to 1: the emotions' mean arousal under the probabilities."""
        return self._expected(AROUSAL)

    def _expected(self, table: dict[str, tuple[float, float]]) -> float:
        return round(sum(share * table[name][0] for name, share in self.probabilities.items()), 6)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready objects, with the conclusions."""
        conclusions = Conclusions(self.emotion, self.valence, self.arousal)
        return {**msgspec.to_builtins(self), **msgspec.to_builtins(conclusions)}


class EmotionResult(Judgement, frozen=True, kw_only=True):
    """Which emotion a clip conveys, and why.

    Attributes:
        video: the clip's path or link as it was given, with bytes that are no UTF-8 as `\\xe9`.
        duration_s: length of the clip.
        frame_times_s: when each of the 16 frames is shown, in seconds from the clip's start.
        profile: the weights that served: "embedded" or "paper".
        head: the fusion head that computed the probabilities.
        contributions: modality -> emotion -> p(all) - p(without that modality).
        absent: modality -> why there is nothing of it to use.
        attention: modality -> its moments in order, with the head's attention to each; what is
            missing to 1 went to padding. Empty for a head that does not attend (zero-shot); None
            where it was not asked for.
        caption: None where it was not asked for, or the profile has no captioner.
        timings_ms: what took how long; slots run side by side, so they do not add up.
        warnings: what was unusual about the file.
    """

    schema_version: str = RESULT_SCHEMA_VERSION
    video: str
    duration_s: Seconds
    frame_times_s: FrameTimes
    profile: str
    head: Head
    contributions: Contributions
    faces: tuple[TimedFace, ...]
    speech: Speech | None
    screen_text: TimedScreenText | None
    audio_events: tuple[AudioEvent, ...]
    absent: Absent
    timings_ms: Timings
    warnings: tuple[str, ...]
    attention: dict[str, tuple[Moment, ...]] | None = None
    caption: TimedCaption | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "video", as_text(self.video))

    @classmethod
    def from_dict(cls, document: Any, source: str = "result") -> Self:
        """The result that `to_dict` made this of; the conclusions are computed anew.

        Args:
            document: JSON-ready objects.
            source: where it comes from, for the error.

        Raises:
            DocumentError: a field is missing or wrong, or its major release is another.
        """
        return convert_document(document, cls, source)


def with_times(
    faces: tuple[Face, ...], times_s: tuple[float, ...], cuts: tuple[int, ...]
) -> tuple[TimedFace, ...]:
    """Faces with the times of their frames and their tracks.

    Args:
        faces: in order of their frames.
        times_s: one time for each of the 16 frames.
        cuts: the frames before which the picture is cut.
    """
    frames = [
        FrameBoxes(time_s, frame in cuts, [face.box for face in faces if face.frame == frame])
        for frame, time_s in enumerate(times_s)
    ]
    tracks = {
        (frame, place): track
        for frame, numbers in enumerate(number_faces(frames))
        for place, track in enumerate(numbers)
    }
    places: Counter[int] = Counter()
    timed = []
    for face in faces:
        track = tracks[face.frame, places[face.frame]]
        places[face.frame] += 1
        timed.append(
            TimedFace(
                face.frame, face.box, face.confidence, face.expressions, times_s[face.frame], track
            )
        )
    return tuple(timed)


def screen_text_with_times(
    screen_text: ScreenText | None, times_s: tuple[float, ...]
) -> TimedScreenText | None:
    """On-screen text with the times of its frames."""
    if screen_text is None:
        return None
    lines = tuple(
        TimedTextLine(line.frame, line.box, line.text, line.confidence, times_s[line.frame])
        for line in screen_text.lines
    )
    return TimedScreenText(screen_text.text, screen_text.language, lines, screen_text.sentiment)
