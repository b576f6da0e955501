"""The six emotions as bars, and what charts share."""

from collections.abc import Iterable, Mapping
from typing import Any

import altair as alt

from ui.parts.palette import EMOTION_COLOURS, NEUTRAL_COLOUR
from ui.parts.words import percent
from vemoclap_client.contract import EMOTIONS

ROW_PX = 30
TRACK_OPACITY = 0.16


def inline(rows: Iterable[Mapping[str, Any]]) -> alt.InlineData:
    """Rows as a chart's data, written into the chart itself."""
    return alt.InlineData(values=[dict(row) for row in rows])


def layered(layers: Iterable[alt.Chart], height_px: int) -> alt.LayerChart:
    """Charts on top of each other, as wide as there is room for."""
    return alt.LayerChart(layer=list(layers)).properties(height=height_px)


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
