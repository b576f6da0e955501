"""Timelines made up for tests."""

from collections.abc import Mapping, Sequence

from vemoclap_client.analysis import AudioEvent, Head
from vemoclap_client.contract import EMOTIONS, MODALITIES
from vemoclap_client.timeline import Timeline, Window

EVEN = dict.fromkeys(EMOTIONS, 0.166667)


def probabilities(emotion: str, share: float) -> dict[str, float]:
    """One emotion's probability, and the rest spread evenly."""
    rest = (1 - share) / (len(EMOTIONS) - 1)
    return {name: share if name == emotion else rest for name in EMOTIONS}


def make_window(start_s: float, end_s: float, shares: Mapping[str, float]) -> Window:
    """A window of these times and probabilities."""
    length_s = end_s - start_s
    return Window(
        start_s=start_s,
        end_s=end_s,
        frame_times_s=tuple(start_s + i * length_s / 16 for i in range(16)),
        profile="embedded",
        head=Head("zero-shot", None),
        probabilities=shares,
        contributions={modality: dict.fromkeys(EMOTIONS, 0.0) for modality in MODALITIES},
        speech="I am so glad, “really”, you came",
        screen_text=None,
        audio_events=(AudioEvent("Speech", 0.8),),
        absent={"face": "no face was found"},
    )


def make_timeline(windows: Sequence[Window], hop_s: float) -> Timeline:
    """A timeline of these windows."""
    first, last = windows[0], windows[-1]
    length_s = first.end_s - first.start_s
    return Timeline(
        video="clip.mp4",
        duration_s=last.end_s,
        window_s=length_s,
        hop_s=hop_s,
        windows=tuple(windows),
        warnings=(),
    )
