"""The result as a picture for a paper: the page's own charts on white."""

import io

import altair as alt

from ui.jobs.job import Job
from ui.parts.charts import emotions_chart
from ui.parts.headline import NOTHING
from ui.parts.timeline import timeline_chart
from ui.parts.words import percent
from vemoclap_client.result import EmotionResult

WIDTH_PX = 640
PNG_SCALE = 3.0
"""Dots per pixel: 640 pixels are 16 cm at 305 dots per inch."""

FONT = "DejaVu Sans, Liberation Sans, Arial, sans-serif"
NAME_MAX = 70
INK = "#1A1A1A"


def picture(job: Job) -> alt.VConcatChart:
    """The six probabilities and, where there is one, the timeline, with the clip's name and head.

    Raises:
        ValueError: the job has no result.
    """
    if job.result is None:
        raise ValueError(f"{job.name} has no result that could be drawn")
    charts: list[alt.LayerChart] = [emotions_chart(job.result.probabilities)]
    if job.timeline is not None and job.timeline.windows:
        charts.append(timeline_chart(job.timeline, job.result.attention))
    sized = [chart.properties(width=WIDTH_PX) for chart in charts]
    whole = alt.VConcatChart(vconcat=sized, spacing=28, background="white", padding=20)
    return whole.properties(
        title=_title(job.name, job.result),
        config=alt.Config(
            font=FONT,
            view=alt.ViewConfig(stroke=None),
            axis=alt.AxisConfig(labelColor=INK, tickColor=INK, domainColor=INK),
        ),
    )


def picture_png(job: Job) -> bytes:
    """The picture as PNG, fine enough to be printed."""
    file = io.BytesIO()
    picture(job).save(file, format="png", scale_factor=PNG_SCALE)
    return file.getvalue()


def picture_svg(job: Job) -> bytes:
    """The picture as SVG."""
    file = io.StringIO()
    picture(job).save(file, format="svg")
    return file.getvalue().encode()


def _title(name: str, result: EmotionResult) -> alt.TitleParams:
    name = name if len(name) <= NAME_MAX else name[: NAME_MAX - 1] + "…"
    emotion = result.emotion
    answer = f"{emotion} {percent(result.probabilities[emotion])}" if emotion else NOTHING
    head = f"VEMOCLAP on Triton, {result.profile} profile, head: {result.head}"
    return alt.TitleParams(
        f"{name}: {answer}",
        subtitle=[head],
        anchor="start",
        color=INK,
        subtitleColor=INK,
        fontSize=16,
        subtitleFontSize=12,
        offset=16,
    )
