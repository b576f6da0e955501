"""What a timeline answers, as frozen dataclasses; `to_dict` is the published JSON.

The JSON's schema is schemas/timeline.schema.json in this package.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from vemoclap_client.contract import TIMELINE_SCHEMA_VERSION
from vemoclap_client.results import AudioEvent, EmotionResult, Head, Judgement
from vemoclap_client.stretches import Stretch

DEFAULT_WINDOW_S = 8.0
DEFAULT_HOP_S = 4.0


@dataclass(frozen=True)
class Window(Judgement):
    """Which emotion a window of a video conveys, and why. Times count from the video's start.

    Attributes:
        start_s: when the window begins.
        end_s: when it ends.
        frame_times_s: when each of its 16 frames is shown.
        profile: the weights that served: "embedded" or "paper".
        head: the fusion head that answered.
        probabilities: emotion -> probability; they add up to 1.
        contributions: modality -> emotion -> p(all) - p(without that modality).
        speech: what was said, in English where it could be translated; None for nothing.
        screen_text: what was written, likewise.
        audio_events: what was heard.
        absent: modality -> why it said nothing.
    """

    start_s: float
    end_s: float
    frame_times_s: tuple[float, ...]
    profile: str
    head: Head
    probabilities: Mapping[str, float]
    contributions: Mapping[str, Mapping[str, float]]
    speech: str | None
    screen_text: str | None
    audio_events: tuple[AudioEvent, ...]
    absent: Mapping[str, str]

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The window that `to_dict` made this of; what follows from it is worked out anew."""
        own = {item.name: document[item.name] for item in fields(cls)}
        events = tuple(AudioEvent(**event) for event in document["audio_events"])
        times_s = tuple(document["frame_times_s"])
        head = Head(**document["head"])
        return cls(**{**own, "head": head, "frame_times_s": times_s, "audio_events": events})

    def to_dict(self) -> dict[str, Any]:
        """The window as JSON-ready objects."""
        return {**asdict(self), **self.conclusions()}


@dataclass(frozen=True)
class Timeline:
    """The emotions of a video over time.

    Attributes:
        video: the path as it was given.
        duration_s: length of the video.
        window_s: length of a window, as it was asked for.
        hop_s: time from one window's start to the next one's, as it was asked for.
        windows: in order of their starts; together they cover the video.
        warnings: what was unusual about the file.
    """

    video: str
    duration_s: float
    window_s: float
    hop_s: float
    windows: tuple[Window, ...]
    warnings: tuple[str, ...]

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The timeline that `to_dict` made this of, such as a file of the published JSON."""
        return cls(
            video=document["video"],
            duration_s=document["duration_s"],
            window_s=document["window_s"],
            hop_s=document["hop_s"],
            windows=tuple(map(Window.from_dict, document["windows"])),
            warnings=tuple(document["warnings"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """The timeline as JSON-ready objects, as schemas/timeline.schema.json describes it."""
        return {
            "schema_version": TIMELINE_SCHEMA_VERSION,
            **asdict(self),
            "windows": [window.to_dict() for window in self.windows],
        }


OnWindow = Callable[[Window, int], None]
"""Is called with each window as it comes, and with how many there will be."""


@dataclass(frozen=True)
class Answered:
    """A window with what is known of the whole clip by then."""

    window: Window
    count: int
    clip_duration_s: float
    warnings: tuple[str, ...]


def to_answered(stretch: Stretch, result: EmotionResult) -> Answered:
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
        return Timeline(
            self._video,
            last.clip_duration_s,
            *self._lengths_s,
            windows=tuple(answered.window for answered in self._answers),
            warnings=last.warnings,
        )
