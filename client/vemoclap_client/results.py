"""What a classification answers, as frozen dataclasses; `to_dict` is the published JSON.

The JSON's schema is schemas/result.schema.json in this package.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vemoclap_client.contract import AROUSAL, RESULT_SCHEMA_VERSION, VALENCE

EVEN_MARGIN = 0.005
"""Probabilities that differ less from an even share are even."""

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 as fractions (0 to 1) of the frame's width and height."""


@dataclass(frozen=True)
class Head:
    """The fusion head that answered.

    Attributes:
        kind: "zero-shot", "attention", or "random" for random weights, whose answers mean
            nothing.
        trained_on: name of its training data; None for a head that saw none.
    """

    kind: str
    trained_on: str | None

    def __str__(self) -> str:
        if self.kind == "random":
            return "random weights: these numbers mean nothing"
        if self.trained_on is None:
            return f"{self.kind} (not trained on Ekman-6 or any other emotion data)"
        return f"{self.kind} (trained on {self.trained_on})"


@dataclass(frozen=True)
class Face:
    """A face in one of the 16 frames, with the probabilities of its expressions."""

    frame: int
    time_s: float
    box: Box
    confidence: float
    expressions: Mapping[str, float]

    @property
    def expression(self) -> str:
        """The most probable expression."""
        return max(self.expressions, key=lambda name: self.expressions[name])


@dataclass(frozen=True)
class SpeechSegment:
    """Words in the language spoken, and when."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class Speech:
    """What was said.

    Attributes:
        text: in English; as spoken where it could not be translated.
        language: ISO 639 code of the language spoken.
        language_probability: 0 to 1.
        segments: what was said when, in the language spoken.
        sentiment: None where there is no English text.
    """

    text: str
    language: str
    language_probability: float
    segments: tuple[SpeechSegment, ...]
    sentiment: Mapping[str, float] | None


@dataclass(frozen=True)
class TextLine:
    """A line of text in one of the 16 frames."""

    frame: int
    time_s: float
    box: Box
    text: str
    confidence: float


@dataclass(frozen=True)
class ScreenText:
    """What was written. `sentiment` is None where the text could not be translated."""

    text: str
    language: str
    lines: tuple[TextLine, ...]
    sentiment: Mapping[str, float] | None


@dataclass(frozen=True)
class AudioEvent:
    """Something heard, and its probability."""

    name: str
    probability: float


@dataclass(frozen=True)
class Moment:
    """A stretch of the clip and the share of a modality's attention that it got, 0 to 1.

    A frame is a stretch without length.
    """

    start_s: float
    end_s: float
    weight: float


@dataclass(frozen=True)
class Caption:
    """What one frame shows, in a sentence that a network wrote."""

    frame: int
    time_s: float
    text: str


class Judgement:
    """What follows from six probabilities."""

    probabilities: Mapping[str, float]

    @property
    def emotion(self) -> str | None:
        """The most probable emotion; None where nothing was found that speaks for any."""
        emotion = max(self.probabilities, key=lambda name: self.probabilities[name])
        even = 1 / len(self.probabilities)
        return emotion if self.probabilities[emotion] > even + EVEN_MARGIN else None

    @property
    def valence(self) -> float:
        """How pleasant, -1 to 1: the emotions' mean valence under the probabilities."""
        return self._expected(VALENCE)

    @property
    def arousal(self) -> float:
        """How excited, -1 to 1: the emotions' mean arousal under the probabilities."""
        return self._expected(AROUSAL)

    def _expected(self, table: Mapping[str, tuple[float, float]]) -> float:
        return round(sum(share * table[name][0] for name, share in self.probabilities.items()), 6)

    def conclusions(self) -> dict[str, Any]:
        """The properties above, for JSON."""
        return {"emotion": self.emotion, "valence": self.valence, "arousal": self.arousal}


@dataclass(frozen=True)
class EmotionResult(Judgement):
    """Which emotion a video conveys, and why.

    Attributes:
        video: the path as it was given.
        duration_s: length of the video.
        frame_times_s: when each of the 16 frames is shown.
        profile: the weights that served: "embedded" or "paper".
        head: the fusion head that answered.
        probabilities: emotion -> probability; they add up to 1.
        contributions: modality -> emotion -> p(all) - p(without that modality).
        absent: modality -> why it said nothing.
        attention: modality -> its moments in order, with what the head attended to; what is
            missing to 1 went to padding. Empty for a head that does not attend (zero-shot); None
            where it was not asked for.
        caption: None where it was not asked for, or the profile has no captioner.
        timings_ms: what took how long; slots run side by side, so they do not add up.
        warnings: what was unusual about the file.
    """

    video: str
    duration_s: float
    frame_times_s: tuple[float, ...]
    profile: str
    head: Head
    probabilities: Mapping[str, float]
    contributions: Mapping[str, Mapping[str, float]]
    faces: tuple[Face, ...]
    speech: Speech | None
    screen_text: ScreenText | None
    audio_events: tuple[AudioEvent, ...]
    absent: Mapping[str, str]
    timings_ms: Mapping[str, float]
    warnings: tuple[str, ...]
    attention: Mapping[str, tuple[Moment, ...]] | None = None
    caption: Caption | None = None

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-ready objects, as schemas/result.schema.json describes it."""
        return {"schema_version": RESULT_SCHEMA_VERSION, **asdict(self), **self.conclusions()}


def read_faces(documents: list[dict[str, Any]], times_s: tuple[float, ...]) -> tuple[Face, ...]:
    """Faces of an analysis document, with the times of their frames."""
    return tuple(
        Face(
            frame=face["frame"],
            time_s=times_s[face["frame"]],
            box=_box(face["box"]),
            confidence=face["confidence"],
            expressions=face["expressions"],
        )
        for face in documents
    )


def read_speech(document: dict[str, Any] | None) -> Speech | None:
    """Speech of an analysis document."""
    if document is None:
        return None
    segments = tuple(SpeechSegment(**segment) for segment in document["segments"])
    return Speech(**{**document, "segments": segments})


def read_screen_text(
    document: dict[str, Any] | None, times_s: tuple[float, ...]
) -> ScreenText | None:
    """On-screen text of an analysis document, with the times of its frames."""
    if document is None:
        return None
    lines = tuple(
        TextLine(**{**line, "box": _box(line["box"]), "time_s": times_s[line["frame"]]})
        for line in document["lines"]
    )
    return ScreenText(**{**document, "lines": lines})


def _box(values: list[float]) -> Box:
    x0, y0, x1, y1 = values
    return x0, y0, x1, y1
