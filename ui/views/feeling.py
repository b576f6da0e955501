"""How pleasant and how excited the clip is: its place between the six emotions."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from ui.palette import EMOTION_COLOURS, NEUTRAL_COLOUR
from ui.views.charts import inline, layered
from ui.views.words import clock, signed
from vemoclap_client.contract import AROUSAL, EMOTIONS, VALENCE

SIDE_PX = 300
LABEL_SIDES = {"anger": (9, "left"), "fear": (-9, "right"), "disgust": (9, "left")}
"""Emotion -> where its name goes: anger and fear are close to each other."""


def feeling_chart(
    result: Mapping[str, Any], windows: Sequence[Mapping[str, Any]] = ()
) -> alt.LayerChart:
    """The clip as a ring in the plane of valence and arousal, with the emotions' own places.

    Args:
        result: the published result.
        windows: the timeline's windows; their way through the plane is drawn as a thin line.
    """
    layers = [*_cross(), _emotions(), *_names()]
    if len(windows) > 1:
        layers.append(_way(windows))
    layers.append(_clip(result))
    return layered(layers, SIDE_PX)


def feeling_sentence(result: Mapping[str, Any]) -> str:
    """The same in words."""
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


def _cross() -> list[alt.Chart]:
    x, y = _axes()
    rule = alt.Chart(inline([{"valence": 0, "arousal": 0}])).mark_rule(
        color=NEUTRAL_COLOUR, opacity=0.5
    )
    return [rule.encode(x=x), rule.encode(y=y)]


def _axes() -> tuple[alt.X, alt.Y]:
    scale = alt.Scale(domain=[-1, 1], nice=False)
    axis = alt.Axis(grid=False, values=[-1, -0.5, 0, 0.5, 1], format="+.1~f")
    return (
        alt.X("valence:Q", title="unpleasant to pleasant (valence)", scale=scale, axis=axis),
        alt.Y("arousal:Q", title="calm to excited (arousal)", scale=scale, axis=axis),
    )


def _place(emotion: str) -> dict[str, Any]:
    return {
        "valence": VALENCE[emotion][0],
        "arousal": AROUSAL[emotion][0],
        "name": emotion,
        "colour": EMOTION_COLOURS[emotion],
    }


def _emotions() -> alt.Chart:
    x, y = _axes()
    data = inline([_place(emotion) for emotion in EMOTIONS])
    return (
        alt.Chart(data)
        .mark_circle(size=90, opacity=1)
        .encode(x=x, y=y, color=alt.Color("colour:N", scale=None), tooltip=["name:N"])
    )


def _names() -> list[alt.Chart]:
    x, y = _axes()
    return [
        alt.Chart(inline([_place(emotion)]))
        .mark_text(dx=offset, align=side, baseline="middle", fontSize=12, color=NEUTRAL_COLOUR)
        .encode(x=x, y=y, text="name:N")
        for emotion in EMOTIONS
        for offset, side in [LABEL_SIDES.get(emotion, (9, "left"))]
    ]


def _way(windows: Sequence[Mapping[str, Any]]) -> alt.Chart:
    x, y = _axes()
    data = inline(
        [
            {
                "valence": window["valence"],
                "arousal": window["arousal"],
                "start_s": window["start_s"],
                "time": clock(window["start_s"]),
            }
            for window in windows
        ]
    )
    line = alt.Chart(data).mark_line(
        color=NEUTRAL_COLOUR,
        strokeWidth=1.5,
        opacity=0.8,
        point={"size": 18, "color": NEUTRAL_COLOUR},
    )
    return line.encode(x=x, y=y, order="start_s:Q", tooltip=[alt.Tooltip("time:N", title="at")])


def _clip(result: Mapping[str, Any]) -> alt.Chart:
    x, y = _axes()
    emotion = result["emotion"]
    place = {"valence": result["valence"], "arousal": result["arousal"], "name": "this clip"}
    ring = alt.Chart(inline([place])).mark_point(
        size=320, strokeWidth=4, color=EMOTION_COLOURS.get(emotion, NEUTRAL_COLOUR), opacity=1
    )
    return ring.encode(x=x, y=y, tooltip=["name:N", "valence:Q", "arousal:Q"])
