"""Which emotion a clip conveys over time.

`Timeline.to_dict` is the published JSON, whose schema is schemas/timeline.schema.json.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from msgspec import Struct, to_builtins
from msgspec.structs import force_setattr

from vemoclap_client.analysis import (
    Absent,
    AudioEvent,
    Box,
    Expressions,
    Face,
    Head,
    Probability,
    Seconds,
    SpeechSegment,
    strongest,
)
from vemoclap_client.contract import TIMELINE_SCHEMA_VERSION
from vemoclap_client.documents import as_text, convert_document
from vemoclap_client.media.parts import DecodedWindow
from vemoclap_client.result import Contributions, FrameTimes, Judgement

DEFAULT_WINDOW_S = 9.0
DEFAULT_HOP_S = 4.5
"""Eight of a window's 16 frames, and three audio windows: so neighbours share half of each."""


class Window(Judgement, frozen=True, kw_only=True):
    """Which emotion a window of a clip conveys, and why. Times count from the clip's start.

    Attributes:
        start_s: when the window begins.
        end_s: when it ends.
        frame_times_s: when each of its 16 frames is shown.
        profile: the weights that served: "embedded" or "paper".
        head: the fusion head that computed the probabilities.
        contributions: modality -> emotion -> p(all) - p(without that modality).
        speech: what was said, in English where it could be translated; None for nothing.
        screen_text: what was written, likewise.
        audio_events: what was heard.
        absent: modality -> why there is nothing of it to use.
    """

    start_s: Seconds
    end_s: Seconds
    frame_times_s: FrameTimes
    profile: str
    head: Head
    contributions: Contributions
    speech: str | None
    screen_text: str | None
    audio_events: tuple[AudioEvent, ...]
    absent: Absent


class TimelineFace(Struct, frozen=True, kw_only=True):
    """A face in one of the frames that the windows need.

    Attributes:
        time_s: when the frame is shown.
        track: the number of the face in this clip; the same face has the same number as long as it
            can be followed. It says nothing about who it is.
    """

    time_s: Seconds
    box: Box
    confidence: Probability
    expressions: Expressions
    track: int

    @property
    def expression(self) -> str:
        """The most probable expression."""
        return strongest(self.expressions)


class Utterance(Judgement, frozen=True, kw_only=True):
    """What was said at a time, in the language spoken, and which emotion the clip conveys then.

    Its probabilities are the mean of the windows that overlap it, weighted by the seconds that they
    cover.

    Attributes:
        start_s: when it begins.
        end_s: when it ends.
        language: ISO 639 code.
    """

    start_s: Seconds
    end_s: Seconds
    text: str
    language: str | None


class ShownText(Struct, frozen=True, kw_only=True):
    """The lines of text that are on the screen at a time, top down; times as of Window."""

    start_s: Seconds
    end_s: Seconds
    lines: tuple[str, ...]


class Timeline(Struct, frozen=True, kw_only=True):
    """The emotions of a clip over time.

    Attributes:
        video: the clip's path or link as it was given, with bytes that are no UTF-8 as `\\xe9`.
        duration_s: length of the clip.
        window_s: length of a window, as it was asked for.
        hop_s: time from one window's start to the next one's, as it was asked for.
        windows: in order of their starts; together they cover the clip.
        warnings: what was unusual about the file.
        faces: in each frame that a window needs, in order of their times. This and what follows is
            empty in documents of before timeline schema 1.1.
        utterances: what was said, in order of their starts.
        screen_texts: what was written on the screen, in order of their starts.
    """

    schema_version: str = TIMELINE_SCHEMA_VERSION
    video: str
    duration_s: Seconds
    window_s: Seconds
    hop_s: Seconds
    windows: tuple[Window, ...]
    warnings: tuple[str, ...]
    faces: tuple[TimelineFace, ...] = ()
    utterances: tuple[Utterance, ...] = ()
    screen_texts: tuple[ShownText, ...] = ()

    def __post_init__(self) -> None:
        force_setattr(self, "video", as_text(self.video))

    @classmethod
    def from_dict(cls, document: Any, source: str = "timeline") -> Self:
        """The timeline that `to_dict` made this of; the conclusions are computed anew.

        Args:
            document: JSON-ready objects.
            source: where it comes from, for the error.

        Raises:
            DocumentError: a field is missing or wrong, or its major release is another.
        """
        return convert_document(document, cls, source)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready objects, each window and utterance with its conclusions."""
        windows = [window.to_dict() for window in self.windows]
        utterances = [utterance.to_dict() for utterance in self.utterances]
        return {**to_builtins(self), "windows": windows, "utterances": utterances}


OnWindow = Callable[[Window, int], None]
"""Is called with each window as it comes, and with how many there will be."""


@dataclass(frozen=True)
class SampledFrame:
    """What a frame shows that a window needs.

    Attributes:
        time_s: when it is shown, seconds from the clip's start.
        is_cut: whether the picture is cut between the frame before and this one.
        faces: in it.
        lines: of text in it, top down.
    """

    time_s: float
    is_cut: bool
    faces: tuple[Face, ...]
    lines: tuple[str, ...]


class Found(NamedTuple):
    """What a window shows and says that no window before it did."""

    frames: tuple[SampledFrame, ...] = ()
    segments: tuple[SpeechSegment, ...] = ()


class ClassifiedWindow(NamedTuple):
    """A window's result beside what was decoded and found."""

    decoded: DecodedWindow
    window: Window
    found: Found = Found()
