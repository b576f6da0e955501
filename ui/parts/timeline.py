"""The emotions over time: one lane for each, and below them what the head attended to."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import altair as alt

from ui.parts.charts import inline, layered
from ui.parts.palette import EMOTION_COLOURS, NEUTRAL_COLOUR
from ui.parts.words import MODALITY_NAMES, clock, percent
from vemoclap_client.contract import EMOTIONS, SEQUENCES
from vemoclap_client.result import Moment
from vemoclap_client.timeline import Timeline

LANE_PX = 34
LANE_FULL = 0.86
"""Height of a bar that stands for 1, as a part of its lane: lanes must not touch."""

GAP = 0.06
"""Between neighbouring windows, as a part of the shorter one's share."""

CHOICE = "chosen"
"""Name of the chart's selection; it holds the chosen window's number."""

CLOCK = "floor(datum.value / 60) + ':' + format(floor(datum.value % 60), '02d')"
Row = dict[str, Any]
Attention = Mapping[str, Sequence[Moment]]
"""Modality -> its moments, as EmotionResult has it."""


def timeline_chart(
    timeline: Timeline,
    attention: Attention | None = None,
    chosen: int | None = None,
) -> alt.LayerChart:
    """Bars over time; a click on one chooses its window, under the name CHOICE.

    Args:
        timeline: with the windows that are known so far.
        attention: of the clip's result; a modality with moments gets a lane.
        chosen: number of the window to mark.
    """
    attended = [name for name in SEQUENCES if (attention or {}).get(name)]
    lanes = [*EMOTIONS, *(f"attention: {MODALITY_NAMES[name]}" for name in attended)]
    rows = [*_emotion_rows(timeline), *_attention_rows(timeline, attention or {}, attended)]
    x, y = _time_axis(timeline.duration_s), _lane_axis(lanes)
    choice = alt.selection_point(name=CHOICE, fields=["window"], on="click", empty=False)
    columns = (
        alt.Chart(inline(_columns(timeline, len(lanes), chosen)))
        .mark_rect(color=NEUTRAL_COLOUR, cursor="pointer")
        .encode(x=x, x2="end:Q", y=y, y2="bottom:Q", opacity=alt.Opacity("opacity:Q", scale=None))
        .encode(tooltip=[alt.Tooltip("value:N", title="from")])
        .add_params(choice)
    )
    bars = (
        alt.Chart(inline(rows))
        .mark_rect(cornerRadius=1.5, cursor="pointer")
        .encode(x=x, x2="end:Q", y=y, y2="bottom:Q", color=alt.Color("colour:N", scale=None))
        .encode(tooltip=[alt.Tooltip("when:N", title="from"), alt.Tooltip("value:N", title="here")])
    )
    return layered([_baselines(y, len(lanes)), columns, bars], LANE_PX * len(lanes))


def timeline_summary(timeline: Timeline) -> str:
    """The course of the emotions in words, neighbours of one emotion taken together."""
    windows = timeline.windows
    shares = _shares_s(timeline)
    parts: list[tuple[str, float]] = []
    for window, (start_s, _) in zip(windows, shares, strict=True):
        emotion = window.emotion or "no emotion in particular"
        if not parts or parts[-1][0] != emotion:
            parts.append((emotion, start_s))
    return "; ".join(f"from {clock(start_s)} {emotion}" for emotion, start_s in parts)


def window_labels(timeline: Timeline) -> list[str]:
    """A name for each window that says when it begins and what it conveys."""
    return [f"{clock(window.start_s)} {window.emotion or 'none'}" for window in timeline.windows]


def _shares_s(timeline: Timeline) -> list[tuple[float, float]]:
    """The part of the time that each window stands for: windows overlap, and meet in the middle."""
    windows = timeline.windows
    middles = [(window.start_s + window.end_s) / 2 for window in windows]
    inner = [(earlier + later) / 2 for earlier, later in pairwise(middles)]
    end_s = min(windows[-1].end_s, timeline.duration_s) if windows else 0.0
    return list(pairwise((0.0, *inner, end_s)))


def _emotion_rows(timeline: Timeline) -> Iterator[Row]:
    shares = zip(timeline.windows, _shares_s(timeline), strict=True)
    for number, (window, (start_s, end_s)) in enumerate(shares):
        gap = GAP * (end_s - start_s)
        for lane, emotion in enumerate(EMOTIONS):
            share = window.probabilities[emotion]
            yield {
                "window": number,
                "start": start_s,
                "end": max(start_s, end_s - gap),
                "top": lane + 1 - LANE_FULL * share,
                "bottom": lane + 1,
                "colour": EMOTION_COLOURS[emotion],
                "when": f"{clock(window.start_s)} to {clock(window.end_s)}",
                "value": f"{emotion} {percent(share)}",
            }


def _attention_rows(
    timeline: Timeline,
    attention: Attention,
    attended: Sequence[str],
) -> Iterator[Row]:
    for lane, name in enumerate(attended, len(EMOTIONS)):
        moments = attention[name]
        most = max(moment.weight for moment in moments) or 1.0
        half_s = timeline.duration_s / (2 * len(moments))
        for moment in moments:
            start_s, end_s = moment.start_s, moment.end_s
            if start_s == end_s:  # A frame has no length: it stands for the time around it.
                start_s, end_s = max(0.0, start_s - half_s), end_s + half_s
            yield {
                "window": None,
                "start": start_s,
                "end": min(end_s - GAP * (end_s - start_s), timeline.duration_s),
                "top": lane + 1 - LANE_FULL * moment.weight / most,
                "bottom": lane + 1,
                "colour": NEUTRAL_COLOUR,
                "when": clock(moment.start_s),
                "value": f"{percent(moment.weight)} of the attention to {MODALITY_NAMES[name]}",
            }


def _columns(timeline: Timeline, lanes: int, chosen: int | None) -> list[Row]:
    """What is clicked: each window's share of the time, over all lanes."""
    windows = zip(timeline.windows, _shares_s(timeline), strict=True)
    return [
        {
            "window": number,
            "start": start_s,
            "end": end_s,
            "top": 0,
            "bottom": lanes,
            "opacity": 0.22 if number == chosen else 0.0,
            "value": f"{clock(window.start_s)} to {clock(window.end_s)}",
        }
        for number, (window, (start_s, end_s)) in enumerate(windows)
    ]


def _baselines(y: alt.Y, lanes: int) -> alt.Chart:
    data = inline({"top": lane + 1} for lane in range(lanes))
    rules: alt.Chart = alt.Chart(data).mark_rule(color=NEUTRAL_COLOUR, opacity=0.35)
    return rules.encode(y=y)


def _time_axis(duration_s: float) -> alt.X:
    axis = alt.Axis(
        title=None, grid=False, labelExpr=CLOCK, tickMinStep=1, labelFlush=True, tickCount=8
    )
    scale = alt.Scale(domain=[0, max(duration_s, 0.001)], nice=False, clamp=True)
    return alt.X("start:Q", axis=axis, scale=scale)


def _lane_axis(lanes: Sequence[str]) -> alt.Y:
    axis = alt.Axis(
        title=None,
        grid=False,
        ticks=False,
        domain=False,
        values=[lane + 0.7 for lane in range(len(lanes))],
        labelExpr=f"{list(lanes)!r}[floor(datum.value)]",
        labelFontSize=13,
        labelPadding=8,
        labelOverlap=False,
        labelLimit=200,
    )
    return alt.Y(
        "top:Q", axis=axis, scale=alt.Scale(domain=[0, len(lanes)], reverse=True, nice=False)
    )
