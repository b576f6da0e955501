"""The video and its timeline; the video plays from the window that is chosen."""

from dataclasses import dataclass

import streamlit as st

from ui.jobs.job import Job
from ui.parts.style import show_heading
from ui.parts.timeline import CHOICE, timeline_chart, timeline_summary, window_labels
from ui.routes import clip_route, media_url
from vemoclap_client.timeline import Timeline

PILLS_MAX = 24
"""More windows than that go into a list."""


@dataclass(frozen=True)
class Seek:
    """The window that the video was last sent to.

    Attributes:
        window: its number.
        times: how often a window was chosen: choosing one again plays it again.
    """

    window: int
    times: int


@st.fragment
def show_player(job: Job) -> None:
    """The video and the timeline of a clip that is here."""
    seek: Seek | None = st.session_state.get(_key(job))
    left, right = st.columns([5, 7], gap="large")
    with left:
        show_heading("Watch")
        _show_video(job, seek)
    with right:
        show_heading("Emotions over time")
        if job.timeline is not None and job.timeline.windows:
            _show_timeline(job, job.timeline, seek)
        else:
            _show_no_timeline(job)


def _show_no_timeline(job: Job) -> None:
    if job.state.is_over:
        st.caption("There is no timeline of this clip.")
    else:
        st.caption("The emotions over time appear here, window by window.")


def _show_video(job: Job, seek: Seek | None) -> None:
    url = media_url(clip_route(job.id))
    caption = job.result.caption if job.result else None
    alternative = f"The clip {job.name}" + (f": {caption.text}" if caption else "")
    if seek is None or job.timeline is None:
        st.video(url, alt=alternative)
        return
    start_s = job.timeline.windows[seek.window].start_s
    # The part after # makes a new address of it, so that the same window can be chosen again.
    st.video(f"{url}#{seek.times}", start_time=start_s, autoplay=True, alt=alternative)


def _show_timeline(job: Job, timeline: Timeline, seek: Seek | None) -> None:
    attention = job.result.attention if job.result else None
    chart = timeline_chart(timeline, attention, seek.window if seek else None)
    st.altair_chart(
        chart,
        key=f"timeline-{job.id}",
        on_select=lambda: _choose(job, _clicked(job)),
        selection_mode=CHOICE,
        alt=f"Emotions over time: {timeline_summary(timeline)}.",
    )
    _show_choices(job, window_labels(timeline))


def _show_choices(job: Job, labels: list[str]) -> None:
    """The same windows for the keyboard and the screen reader."""
    key = f"moment-{job.id}"
    numbers = range(len(labels))

    def choose() -> None:
        _choose(job, st.session_state[key])

    if len(labels) <= PILLS_MAX:
        st.pills(
            "Play from",
            numbers,
            format_func=labels.__getitem__,
            key=key,
            on_change=choose,
            wrap=True,
        )
    else:
        st.selectbox(
            "Play from",
            numbers,
            index=None,
            format_func=labels.__getitem__,
            key=key,
            on_change=choose,
            placeholder="Choose a moment",
        )


def _clicked(job: Job) -> int | None:
    points = st.session_state[f"timeline-{job.id}"]["selection"].get(CHOICE) or []
    return next((point["window"] for point in points if point.get("window") is not None), None)


def _choose(job: Job, window: int | None) -> None:
    """Sends the video to a window; None, for one that was chosen already, plays it again."""
    last: Seek | None = st.session_state.get(_key(job))
    if window is not None:
        st.session_state[_key(job)] = Seek(window, last.times + 1 if last else 1)
    elif last is not None:
        st.session_state[_key(job)] = Seek(last.window, last.times + 1)


def _key(job: Job) -> str:
    return f"seek-{job.id}"
