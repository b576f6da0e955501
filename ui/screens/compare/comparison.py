"""Two clips side by side: which ones, whether their numbers can be compared, and joint charts."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import altair as alt

from ui.jobs.job import Job
from ui.parts.palette import EMOTION_COLOURS, NEUTRAL_COLOUR
from ui.parts.plane import LEFT
from ui.parts.words import percent, signed
from vemoclap_client.analysis import Head
from vemoclap_client.contract import AROUSAL, EMOTIONS, VALENCE

LETTERS = ("A", "B")
OPACITIES = (1.0, 0.55)
BAR_PX = 17
GAP_PX = 18
EDGES = {"top": "excited", "bottom": "calm", "left": "unpleasant", "right": "pleasant"}
Result = Mapping[str, Any]


def choose(asked: str, jobs: Sequence[Job]) -> tuple[list[str], list[str]]:
    """The ids of the two clips to compare, and the ids that were asked for and are not there.

    Args:
        asked: up to two ids with a comma between them, as in the page's address.
        jobs: the clips that have a result, at least two; they fill up what is not asked for.
    """
    known = [job.id for job in jobs]
    wanted = [name.strip() for name in asked.split(",") if name.strip()]
    found = [name for name in dict.fromkeys(wanted) if name in known][:2]
    others = [name for name in known if name not in found]
    return (found + others)[:2], [name for name in wanted if name not in known]


def differences(one: Result, other: Result) -> list[str]:
    """Why the numbers of two results cannot be compared, a sentence each; empty if they can."""
    told = []
    heads = [str(Head(**result["head"])) for result in (one, other)]
    if heads[0] != heads[1]:
        told.append(f"A was answered by the head {heads[0]}, B by {heads[1]}.")
    if one["profile"] != other["profile"]:
        told.append(f"A was seen with the {one['profile']} profile, B with {other['profile']}.")
    return told


def difference_sentence(one: Result, other: Result) -> str:
    """How the two results differ most, in words."""
    gaps = {name: one["probabilities"][name] - other["probabilities"][name] for name in EMOTIONS}
    name = max(gaps, key=lambda emotion: abs(gaps[emotion]))
    shares = [percent(result["probabilities"][name]) for result in (one, other)]
    if shares[0] == shares[1]:
        return "The two clips have the same probabilities."
    return f"They differ most in {name}: A {shares[0]}, B {shares[1]}."


def paired_bars(one: Result, other: Result) -> alt.LayerChart:
    """Two bars for each emotion on one scale from 0 to 1, each with its letter and its value."""
    rows = [
        {
            "emotion": emotion,
            "clip": letter,
            "share": result["probabilities"][emotion],
            "told": f"{letter}  {percent(result['probabilities'][emotion])}",
            "colour": EMOTION_COLOURS[emotion],
            "opacity": opacity,
        }
        for emotion in EMOTIONS
        for letter, opacity, result in zip(LETTERS, OPACITIES, (one, other), strict=True)
    ]
    axis = alt.Axis(title=None, ticks=False, domain=False, labelFontSize=14, labelPadding=10)
    data: Any = {"values": rows}
    base = alt.Chart(data).encode(
        x=alt.X("share:Q", axis=None, scale=alt.Scale(domain=[0, 1.12])),
        y=alt.Y("emotion:N", sort=list(EMOTIONS), axis=axis, scale=alt.Scale(paddingInner=0.3)),
        yOffset=alt.YOffset("clip:N", sort=list(LETTERS)),
    )
    bars = base.mark_bar(cornerRadius=3).encode(
        color=alt.Color("colour:N", scale=None),
        opacity=alt.Opacity("opacity:Q", scale=None),
        tooltip=[alt.Tooltip("emotion:N"), alt.Tooltip("told:N", title="probability")],
    )
    texts = base.mark_text(align="left", dx=6, fontSize=12, color=NEUTRAL_COLOUR)
    chart = cast(alt.LayerChart, alt.layer(bars, texts.encode(text="told:N")))
    chart.height = (2 * BAR_PX + GAP_PX) * len(EMOTIONS)
    return chart


def joint_feeling_html(results: Mapping[str, Result]) -> str:
    """The plane of valence and arousal with each clip as a ring that has its letter.

    Args:
        results: letter -> result, of those in which an emotion stands out.
    """
    dots = "".join(_dot(emotion) for emotion in EMOTIONS)
    rings = "".join(_ring(letter, result) for letter, result in results.items())
    edges = "".join(f'<span class="v-edge v-{side}">{word}</span>' for side, word in EDGES.items())
    label = f"Both clips’ places. {joint_feeling_sentence(results)}"
    return f'<div class="v-plane" role="img" aria-label="{label}">{edges}{dots}{rings}</div>'


def _dot(emotion: str) -> str:
    place = _at(VALENCE[emotion][0], AROUSAL[emotion][0])
    side = " v-before" if emotion == LEFT else ""
    return (
        f'<span class="v-dot{side}" style="{place};background:{EMOTION_COLOURS[emotion]}">'
        f"<span>{emotion}</span></span>"
    )


def _ring(letter: str, result: Result) -> str:
    place = _at(result["valence"], result["arousal"])
    colour = EMOTION_COLOURS[result["emotion"]]
    return (
        f'<span class="v-ring" style="{place};border-color:{colour};display:grid;'
        f'place-items:center;font-weight:700;font-size:.8rem">{letter}</span>'
    )


def _at(valence: float, arousal: float) -> str:
    return f"left:{50 + 50 * valence:.2f}%;top:{50 - 50 * arousal:.2f}%"


def joint_feeling_sentence(results: Mapping[str, Result]) -> str:
    """The same in words."""
    told = (
        f"{letter}: valence {signed(result['valence'])}, arousal {signed(result['arousal'])}"
        for letter, result in results.items()
    )
    return "; ".join(told) + "."


def on_the_same_axis(timelines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The timelines with the time axis of the longest, so that a second is as long in all."""
    longest_s = max((timeline["duration_s"] for timeline in timelines), default=0.0)
    return [{**timeline, "duration_s": longest_s} for timeline in timelines]
