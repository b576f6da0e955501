"""Timelines made up for tests."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from vemoclap_client.analysis import AudioEvent, Head
from vemoclap_client.contract import EMOTIONS, EXPRESSIONS, MODALITIES
from vemoclap_client.timeline import ShownText, Timeline, TimelineFace, Utterance, Window

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


def make_face(time_s: float, track: int, expression: str, left: float) -> TimelineFace:
    """A face of this expression, a quarter of the picture wide and half as high as the picture."""
    return TimelineFace(
        time_s=time_s,
        box=(left, 0.25, left + 0.25, 0.75),
        confidence=0.875,
        expressions=dict.fromkeys(EXPRESSIONS, 0.0) | {expression: 1.0},
        track=track,
    )


def make_utterance(start_s: float, end_s: float, text: str, emotion: str) -> Utterance:
    """An utterance whose emotion has a probability of 0.6."""
    return Utterance(
        start_s=start_s,
        end_s=end_s,
        text=text,
        language="en",
        probabilities=probabilities(emotion, 0.6),
    )


def make_full_timeline() -> Timeline:
    """12 s in two windows of 8 s with frames every half second: faces, utterances, texts."""
    windows = [
        make_window(0.0, 8.0, probabilities("joy", 0.8)),
        make_window(4.0, 12.0, probabilities("fear", 0.5)),
    ]
    faces = [
        make_face(0.0, 1, "happy", 0.0),
        make_face(0.5, 1, "happy", 0.0625),
        make_face(0.5, 2, "sad", 0.5),
        make_face(1.0, 1, "neutral", 0.125),
        make_face(9.0, 3, "sad", 0.5),
    ]
    utterances = [
        make_utterance(0.25, 2.0, 'I am "glad"\n& <sure>', "joy"),
        make_utterance(1.75, 3.0, "=1+1", "joy"),
    ]
    texts = [ShownText(start_s=0.5, end_s=1.5, lines=("THE END", "of the film"))]
    return replace(
        make_timeline(windows, 4.0),
        faces=tuple(faces),
        utterances=tuple(utterances),
        screen_texts=tuple(texts),
    )
