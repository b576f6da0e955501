"""Two clips side by side: which ones, whether their numbers can be compared, a joint chart."""

from collections.abc import Mapping, Sequence

import altair as alt

from ui.jobs.job import AnyJob
from ui.parts.charts import inline, layered
from ui.parts.palette import EMOTION_COLOURS, NEUTRAL_COLOUR
from ui.parts.words import percent, signed
from vemoclap_client.contract import EMOTIONS
from vemoclap_client.result import EmotionResult, Judgement

LETTERS = ("A", "B")
OPACITIES = (1.0, 0.55)
BAR_PX = 17
GAP_PX = 18


def choose(asked: str, jobs: Sequence[AnyJob]) -> tuple[list[str], list[str]]:
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


def differences(one: EmotionResult, other: EmotionResult) -> list[str]:
    """Why the numbers of two results cannot be compared, a sentence each; empty if they can."""
    reasons = []
    if one.head != other.head:
        reasons.append(f"A was answered by the head {one.head}, B by {other.head}.")
    if one.profile != other.profile:
        reasons.append(f"A was seen with the {one.profile} profile, B with {other.profile}.")
    return reasons


def difference_sentence(one: EmotionResult, other: EmotionResult) -> str:
    """How the two results differ most, in words."""
    gaps = {name: abs(one.probabilities[name] - other.probabilities[name]) for name in EMOTIONS}
    name = max(gaps, key=lambda emotion: gaps[emotion])
    shares = [percent(result.probabilities[name]) for result in (one, other)]
    if shares[0] == shares[1]:
        return "The two clips have the same probabilities."
    return f"They differ most in {name}: A {shares[0]}, B {shares[1]}."


def paired_bars(one: EmotionResult, other: EmotionResult) -> alt.LayerChart:
    """Two bars for each emotion on one scale from 0 to 1, each with its letter and its value."""
    rows = [
        {
            "emotion": emotion,
            "clip": letter,
            "share": result.probabilities[emotion],
            "value": f"{letter}  {percent(result.probabilities[emotion])}",
            "colour": EMOTION_COLOURS[emotion],
            "opacity": opacity,
        }
        for emotion in EMOTIONS
        for letter, opacity, result in zip(LETTERS, OPACITIES, (one, other), strict=True)
    ]
    axis = alt.Axis(title=None, ticks=False, domain=False, labelFontSize=14, labelPadding=10)
    base = alt.Chart(inline(rows)).encode(
        x=alt.X("share:Q", axis=None, scale=alt.Scale(domain=[0, 1.12])),
        y=alt.Y("emotion:N", sort=list(EMOTIONS), axis=axis, scale=alt.Scale(paddingInner=0.3)),
        yOffset=alt.YOffset("clip:N", sort=list(LETTERS)),
    )
    bars = base.mark_bar(cornerRadius=3).encode(
        color=alt.Color("colour:N", scale=None),
        opacity=alt.Opacity("opacity:Q", scale=None),
        tooltip=[alt.Tooltip("emotion:N"), alt.Tooltip("value:N", title="probability")],
    )
    texts = base.mark_text(align="left", dx=6, fontSize=12, color=NEUTRAL_COLOUR)
    height_px = (2 * BAR_PX + GAP_PX) * len(EMOTIONS)
    return layered([bars, texts.encode(text="value:N")], height_px)


def places_sentence(results: Mapping[str, Judgement]) -> str:
    """Each clip's valence and arousal, by its letter."""
    places = (
        f"{letter}: valence {signed(result.valence)}, arousal {signed(result.arousal)}"
        for letter, result in results.items()
    )
    return "; ".join(places) + "."
