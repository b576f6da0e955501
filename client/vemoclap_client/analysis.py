"""What the steps found in a clip: the evidence and the analysis, as the server writes them.

The server encodes these types, the client and the app decode them, and the JSON schemas in
schemas/ are generated from them (`make schemas`). Fields that a newer server adds are ignored.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from vemoclap_client.contract import (
    ANALYSIS_SCHEMA_VERSION,
    EXPRESSIONS,
    FRAME_COUNT,
    SENTIMENTS,
)

Probability = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0)]
Milliseconds = Annotated[float, Meta(ge=0)]
FrameIndex = Annotated[
    int, Meta(ge=0, lt=FRAME_COUNT, description="Index of one of the clip's 16 frames.")
]
Box = Annotated[
    tuple[Probability, Probability, Probability, Probability],
    Meta(description="x0, y0, x1, y1 as fractions of the frame's width and height."),
]
Expressions = Annotated[
    dict[str, Probability],
    Meta(
        description="Facial expression -> probability.",
        extra_json_schema={"required": list(EXPRESSIONS)},
    ),
]
Sentiment = Annotated[
    dict[str, Probability],
    Meta(
        description="Sentiment of the English text -> probability.",
        extra_json_schema={"required": list(SENTIMENTS)},
    ),
]
Absent = Annotated[
    dict[str, str], Meta(description="Modality -> why there is nothing of it to use.")
]
Timings = Annotated[
    dict[str, Milliseconds],
    Meta(description="Slot -> milliseconds. Slots run side by side: they do not add up."),
]


class Head(Struct, frozen=True):
    """The fusion head that computed the probabilities.

    Attributes:
        kind: "random" for random weights, whose probabilities mean nothing.
        trained_on: name of its training data; None for a head that saw none.
    """

    kind: Literal["zero-shot", "attention", "random"]
    trained_on: str | None

    def __str__(self) -> str:
        if self.kind == "random":
            return "random weights: these numbers mean nothing"
        if self.trained_on is None:
            return f"{self.kind} (not trained on Ekman-6 or any other emotion data)"
        return f"{self.kind} (trained on {self.trained_on})"


def strongest(expressions: dict[str, float]) -> str:
    """The most probable expression."""
    return max(expressions, key=lambda name: expressions[name])


class Face(Struct, frozen=True):
    """A face in one of the 16 frames, with expression -> probability."""

    frame: FrameIndex
    box: Box
    confidence: Probability
    expressions: Expressions

    @property
    def expression(self) -> str:
        """The most probable expression."""
        return strongest(self.expressions)


class SpeechSegment(Struct, frozen=True):
    """Words in the language spoken, and when, in seconds from the clip's start.

    Attributes:
        language: ISO 639 code; None in documents of before result schema 1.3.
    """

    start_s: Seconds
    end_s: Seconds
    text: str
    language: str | None = None


class SpokenWord(Struct, frozen=True):
    """A word of Speech.text, and when its middle is spoken, in seconds from the sound's start."""

    time_s: Seconds
    text: str


class Speech(Struct, frozen=True):
    """What was said.

    Attributes:
        text: in English; as spoken where it could not be translated.
        language: ISO 639 code of the language that is spoken most.
        language_probability: of that language, 0 to 1.
        segments: what was said when, in the language spoken.
        sentiment: sentiment -> probability; None where there is no English text.
        heard_until_s: when the transcript ends, because more is not taken for one result; None
            where all was transcribed.
    """

    text: str
    language: str
    language_probability: Probability
    segments: Annotated[tuple[SpeechSegment, ...], Meta(min_length=1)]
    sentiment: Sentiment | None
    heard_until_s: Seconds | None = None


class TextLine(Struct, frozen=True):
    """A line of text in one of the 16 frames."""

    frame: FrameIndex
    box: Box
    text: str
    confidence: Probability


class ScreenText(Struct, frozen=True):
    """What was written on the screen.

    Attributes:
        text: the unique lines, lower-cased, joined with ". "; in English where translated.
        language: ISO 639 code, or "unknown".
        lines: in order of their frames.
        sentiment: sentiment -> probability; None where the text could not be translated.
    """

    text: str
    language: str
    lines: Annotated[tuple[TextLine, ...], Meta(min_length=1)]
    sentiment: Sentiment | None


class AudioEvent(Struct, frozen=True):
    """Something heard, and its probability."""

    name: str
    probability: Probability


class StepEvidence(Struct, frozen=True, kw_only=True):
    """What one step found in a clip; the document in a step's output EVIDENCE.

    Attributes:
        absent: why there is nothing of the modality to use; None where there is.
        duration_ms: how long the step took.
    """

    absent: str | None = None
    duration_ms: Milliseconds = 0.0


class AudioEvidence(StepEvidence, frozen=True, kw_only=True):
    """Evidence of audio_analyzer; windows_s are the audio windows' starts and ends."""

    events: tuple[AudioEvent, ...] = ()
    windows_s: tuple[tuple[Seconds, Seconds], ...] = ()


class FaceEvidence(StepEvidence, frozen=True, kw_only=True):
    """Evidence of face_analyzer."""

    faces: tuple[Face, ...] = ()


class SpeechEvidence(StepEvidence, frozen=True, kw_only=True):
    """Evidence of speech_recognizer; words: those of the speech's text."""

    speech: Speech | None = None
    words: tuple[SpokenWord, ...] = ()


class TextEvidence(StepEvidence, frozen=True, kw_only=True):
    """Evidence of screen_reader.

    Attributes:
        frames_read: in order; every other frame shows what the one before it shows, and its lines
            are not listed again.
    """

    screen_text: ScreenText | None = None
    frames_read: tuple[int, ...] = ()


class WindowEvidence(Struct, frozen=True, kw_only=True):
    """The document in the output EVIDENCE of vemoclap_window, of one window of a timeline.

    Attributes:
        profile: the weights that served: "embedded" or "paper".
        head: the fusion head that computed the probabilities.
        screen_text: in English where it could be translated; None for no text.
        text_absent: why there is no English text; None where there is.
        audio_events: what was heard.
    """

    profile: str
    head: Head
    screen_text: str | None
    text_absent: str | None
    audio_events: tuple[AudioEvent, ...]


class FrameCaption(Struct, frozen=True):
    """A sentence that a network wrote about one frame; the document in CAPTION."""

    frame: FrameIndex
    text: str


class Analysis(Struct, frozen=True, kw_only=True):
    """The document in the ensemble's output ANALYSIS: the evidence of all steps.

    Attributes:
        profile: the weights that served: "embedded" or "paper".
        head: the fusion head that computed the probabilities.
        audio_windows_s: start and end of the sound behind each row of the audio features.
        absent: modality -> why there is nothing of it to use.
        timings_ms: slot -> how long it took.
    """

    schema_version: str = ANALYSIS_SCHEMA_VERSION
    profile: str
    head: Head
    faces: tuple[Face, ...]
    speech: Speech | None
    screen_text: ScreenText | None
    audio_events: Annotated[tuple[AudioEvent, ...], Meta(max_length=5)]
    audio_windows_s: Annotated[
        tuple[tuple[Seconds, Seconds], ...],
        Meta(
            max_length=FRAME_COUNT,
            description="Start and end, in seconds, of the sound behind each row of the audio "
            "features.",
        ),
    ]
    absent: Absent
    timings_ms: Timings
