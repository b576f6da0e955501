"""The plane of valence (how pleasant) and arousal (how excited): where clips and emotions lie."""

from collections.abc import Mapping, Sequence

from ui.parts.palette import EMOTION_COLOURS, NEUTRAL_COLOUR
from ui.parts.words import clock, signed
from vemoclap_client.contract import AROUSAL, EMOTIONS, VALENCE
from vemoclap_client.result import Judgement
from vemoclap_client.timeline import Window

LEFT = "fear"
"""Its name goes to the left, as anger is close by on its right."""

EDGES = {"top": "excited", "bottom": "calm", "left": "unpleasant", "right": "pleasant"}


def plane_html(
    results: Mapping[str, Judgement], alternative: str, windows: Sequence[Window] = ()
) -> str:
    """The plane: each clip as a ring, the emotions' own places as dots.

    Args:
        results: letter in the ring -> result; "" for a ring without a letter.
        alternative: the same in words.
        windows: of a timeline; each is a small dot.
    """
    edges = "".join(f'<span class="v-edge v-{side}">{word}</span>' for side, word in EDGES.items())
    rings = "".join(_ring(letter, result) for letter, result in results.items())
    return (
        f'<div class="v-plane" role="img" aria-label="{alternative}">{edges}'
        f"{''.join(map(_window, windows))}{''.join(map(_emotion, EMOTIONS))}{rings}</div>"
    )


def plane_sentence(result: Judgement) -> str:
    """A clip's place in words."""
    if result.emotion is None:
        return "Nothing speaks for any emotion: the ring is where all six would be in balance."
    pleasant = _degree(result.valence, "pleasant", "unpleasant")
    excited = _degree(result.arousal, "excited", "calm")
    return (
        f"{pleasant.capitalize()} (valence {signed(result.valence)}) and {excited} "
        f"(arousal {signed(result.arousal)})."
    )


def _degree(value: float, above: str, below: str) -> str:
    if abs(value) < 0.1:
        return f"neither {above} nor {below}"
    return above if value > 0 else below


def _place(valence: float, arousal: float) -> str:
    """Both are -1 to 1: from the left to the right, and from the bottom to the top."""
    return f"left:{50 + 50 * valence:.2f}%;top:{50 - 50 * arousal:.2f}%"


def _ring(letter: str, result: Judgement) -> str:
    place = _place(result.valence, result.arousal)
    colour = EMOTION_COLOURS.get(result.emotion or "", NEUTRAL_COLOUR)
    title = f"clip {letter}" if letter else "this clip"
    return (
        f'<span class="v-ring" style="{place};border-color:{colour}" title="{title}">'
        f"{letter}</span>"
    )


def _emotion(emotion: str) -> str:
    place = _place(VALENCE[emotion][0], AROUSAL[emotion][0])
    side = " v-before" if emotion == LEFT else ""
    return (
        f'<span class="v-dot{side}" style="{place};background:{EMOTION_COLOURS[emotion]}">'
        f"<span>{emotion}</span></span>"
    )


def _window(window: Window) -> str:
    place = _place(window.valence, window.arousal)
    return f'<span class="v-moment" style="{place}" title="{clock(window.start_s)}"></span>'
