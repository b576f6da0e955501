"""How pleasant and how excited the clip is: its place between the six emotions."""

from collections.abc import Mapping, Sequence
from typing import Any

from ui.palette import EMOTION_COLOURS, NEUTRAL_COLOUR
from ui.views.words import clock, signed
from vemoclap_client.contract import AROUSAL, EMOTIONS, VALENCE

LEFT = "fear"
"""Its name goes to the left, as anger is close by on its right."""


def feeling_html(result: Mapping[str, Any], windows: Sequence[Mapping[str, Any]] = ()) -> str:
    """The plane of valence and arousal: the clip as a ring, the emotions' own places as dots.

    Args:
        result: the published result.
        windows: the timeline's windows; each is a small dot.
    """
    colour = EMOTION_COLOURS.get(result["emotion"], NEUTRAL_COLOUR)
    ring = (
        f'<span class="v-ring" style="{_at(result["valence"], result["arousal"])};'
        f'border-color:{colour}" title="this clip"></span>'
    )
    edges = "".join(
        f'<span class="v-edge v-{side}">{word}</span>'
        for side, word in {
            "top": "excited",
            "bottom": "calm",
            "left": "unpleasant",
            "right": "pleasant",
        }.items()
    )
    return (
        f'<div class="v-plane" role="img" aria-label="{feeling_sentence(result)}">{edges}'
        f"{''.join(map(_moment, windows))}{''.join(map(_emotion, EMOTIONS))}{ring}</div>"
    )


def feeling_sentence(result: Mapping[str, Any]) -> str:
    """The same in words."""
    if result["emotion"] is None:
        return "Nothing speaks for any emotion: the ring is where all six would be in balance."
    valence, arousal = result["valence"], result["arousal"]
    pleasant = _degree(valence, "pleasant", "unpleasant")
    excited = _degree(arousal, "excited", "calm")
    return (
        f"{pleasant.capitalize()} (valence {signed(valence)}) and {excited} "
        f"(arousal {signed(arousal)})."
    )


def _degree(value: float, above: str, below: str) -> str:
    if abs(value) < 0.1:
        return f"neither {above} nor {below}"
    return above if value > 0 else below


def _at(valence: float, arousal: float) -> str:
    """Both are -1 to 1: from the left to the right, and from the bottom to the top."""
    return f"left:{50 + 50 * valence:.2f}%;top:{50 - 50 * arousal:.2f}%"


def _emotion(emotion: str) -> str:
    place = _at(VALENCE[emotion][0], AROUSAL[emotion][0])
    side = " v-before" if emotion == LEFT else ""
    return (
        f'<span class="v-dot{side}" style="{place};background:{EMOTION_COLOURS[emotion]}">'
        f"<span>{emotion}</span></span>"
    )


def _moment(window: Mapping[str, Any]) -> str:
    place = _at(window["valence"], window["arousal"])
    return f'<span class="v-moment" style="{place}" title="{clock(window["start_s"])}"></span>'
