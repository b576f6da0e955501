"""Which emotion a clip conveys over time.

`Timeline.to_dict` is the published JSON, whose schema is schemas/timeline.schema.json.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

from msgspec import Struct, to_builtins

from vemoclap_client.analysis import Absent, AudioEvent, Head, Seconds
from vemoclap_client.contract import TIMELINE_SCHEMA_VERSION
from vemoclap_client.documents import convert_document
from vemoclap_client.media.parts import DecodedWindow
from vemoclap_client.result import Contributions, EmotionResult, FrameTimes, Judgement

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


class Timeline(Struct, frozen=True, kw_only=True):
    """The emotions of a clip over time.

    Attributes:
        video: the clip's path or link as it was given.
        duration_s: length of the clip.
        window_s: length of a window, as it was asked for.
        hop_s: time from one window's start to the next one's, as it was asked for.
        windows: in order of their starts; together they cover the clip.
        warnings: what was unusual about the file.
    """

    schema_version: str = TIMELINE_SCHEMA_VERSION
    video: str
    duration_s: Seconds
    window_s: Seconds
    hop_s: Seconds
    windows: tuple[Window, ...]
    warnings: tuple[str, ...]

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
        """JSON-ready objects, each window with its conclusions."""
        windows = [window.to_dict() for window in self.windows]
        return {**to_builtins(self), "windows": windows}


OnWindow = Callable[[Window, int], None]
"""Is called with each window as it comes, and with how many there will be."""


class ClassifiedWindow(NamedTuple):
    """A window's result beside what was decoded."""

    decoded: DecodedWindow
    window: Window


def make_window(result: EmotionResult) -> Window:
    """The only window of a clip that is no longer than a window, from the clip's result."""
    return Window(
        start_s=0.0,
        end_s=result.duration_s,
        frame_times_s=result.frame_times_s,
        profile=result.profile,
        head=result.head,
        probabilities=result.probabilities,
        contributions=result.contributions,
        speech=result.speech.text if result.speech else None,
        screen_text=result.screen_text.text if result.screen_text else None,
        audio_events=result.audio_events,
        absent=result.absent,
    )


def make_timeline(
    video: str, window_s: float, hop_s: float, classified: Sequence[ClassifiedWindow]
) -> Timeline:
    """The timeline of all windows of a clip, of which there is one at least."""
    last = classified[-1].decoded
    return Timeline(
        video=video,
        duration_s=round(last.clip_duration_s, 3),
        window_s=float(window_s),
        hop_s=float(hop_s),
        windows=tuple(window for _, window in classified),
        warnings=last.warnings,
    )
