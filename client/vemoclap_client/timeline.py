"""Which emotion a clip conveys over time.

`Timeline.to_dict` is the published JSON, whose schema is schemas/timeline.schema.json.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from msgspec import Struct, to_builtins

from vemoclap_client.analysis import Absent, AudioEvent, Head, Seconds, convert_document
from vemoclap_client.contract import TIMELINE_SCHEMA_VERSION
from vemoclap_client.media.windows import DecodedWindow
from vemoclap_client.result import Contributions, EmotionResult, FrameTimes, Judgement

DEFAULT_WINDOW_S = 8.0
DEFAULT_HOP_S = 4.0


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


@dataclass(frozen=True)
class Answered:
    """A window with what is known of the whole clip by then."""

    window: Window
    count: int
    clip_duration_s: float
    warnings: tuple[str, ...]


def to_answered(stretch: DecodedWindow, result: EmotionResult) -> Answered:
    """A stretch's window, from the answer for its frames and sound."""
    window = Window(
        start_s=round(stretch.start_s, 3),
        end_s=round(stretch.end_s, 3),
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
    duration_s = round(stretch.clip_duration_s, 3)
    return Answered(window, stretch.count, duration_s, result.warnings)


class TimelineBuilder:
    """Gathers windows as they come."""

    def __init__(
        self, video: str, window_s: float, hop_s: float, on_window: OnWindow | None
    ) -> None:
        """Nothing has come yet."""
        self._video = video
        self._lengths_s = float(window_s), float(hop_s)
        self._on_window = on_window
        self._answers: list[Answered] = []

    def add(self, answered: Answered) -> None:
        """Takes the next window."""
        self._answers.append(answered)
        if self._on_window:
            self._on_window(answered.window, answered.count)

    def build(self) -> Timeline:
        """The timeline of all windows, of which there is one at least."""
        last = self._answers[-1]
        window_s, hop_s = self._lengths_s
        return Timeline(
            video=self._video,
            duration_s=last.clip_duration_s,
            window_s=window_s,
            hop_s=hop_s,
            windows=tuple(answered.window for answered in self._answers),
            warnings=last.warnings,
        )
