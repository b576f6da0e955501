"""The six emotions as bars."""

from collections.abc import Mapping

import altair as alt

from ui.parts.charts import inline, layered
from ui.parts.palette import EMOTION_COLOURS, NEUTRAL_COLOUR
from ui.parts.words import percent
from vemoclap_client.contract import EMOTIONS

ROW_PX = 30
TRACK_OPACITY = 0.16


def emotions_chart(probabilities: Mapping[str, float]) -> alt.LayerChart:
    """A bar for each emotion, always in the same order, from 0 to 1; the label says the value."""
    rows = [
        {
            "label": f"{emotion}  {percent(probabilities[emotion])}",
            "share": probabilities[emotion],
            "colour": EMOTION_COLOURS[emotion],
            "all": 1.0,
        }
        for emotion in EMOTIONS
    ]
    base = alt.Chart(inline(rows)).encode(y=_names([str(row["label"]) for row in rows]))
    track = base.mark_bar(color=NEUTRAL_COLOUR, opacity=TRACK_OPACITY, cornerRadius=3).encode(
        x=alt.X("all:Q", axis=None, scale=alt.Scale(domain=[0, 1])), tooltip=alt.value(None)
    )
    bars = base.mark_bar(cornerRadius=3).encode(
        x=alt.X("share:Q", axis=None, scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("colour:N", scale=None),
        tooltip=[alt.Tooltip("label:N", title="probability")],
    )
    return layered([track, bars], ROW_PX * len(EMOTIONS))


def _names(labels: list[str]) -> alt.Y:
    axis = alt.Axis(
        title=None, ticks=False, domain=False, labelFontSize=14, labelPadding=10, labelLimit=200
    )
    return alt.Y("label:N", sort=labels, axis=axis, scale=alt.Scale(paddingInner=0.45))
