"""Lays the parts of a clip's page out.

The page is drawn anew only when something about the clip became known: a small part of it, which
draws itself every half second, looks. What did not change keeps its place and its content, so
that the browser leaves it alone: the video plays on while the timeline grows.
"""

from collections.abc import Hashable, Mapping
from typing import Any

import streamlit as st

from ui.application import application
from ui.jobs import media
from ui.jobs.job import Job, StageState, State
from ui.jobs.store import JobNotFoundError
from ui.parts.emotions import emotions_chart
from ui.parts.headline import headline_html, summary, title_html
from ui.screens.result.progress import progress_html, unfinished
from ui.screens.result.sections import (
    show_evidence,
    show_files,
    show_frames,
    show_reasons,
    show_small_print,
)
from ui.parts.style import STYLE
from ui.screens.result.player import show_watching
from ui.parts.words import head_warning
from vemoclap_client.contract import FRAME_COUNT

LOOK_AGAIN_S = 0.5


def show_result_page() -> None:
    """Draws the page of the clip whose id the address names."""
    st.html(STYLE)
    store = application().store
    try:
        job = store.get(st.query_params.get("id", ""))
    except JobNotFoundError:
        _show_unknown()
        return
    frames = _frames(job.id)
    known = {**job.evidence, **(job.result or {})}
    st.html(title_html(job.name, job.source.kind, known.get("duration_s")))
    with st.container():  # Everything below stays in its place, whatever comes or goes here.
        _show_state(job, frames)
    with st.container():
        if job.result is not None:
            _show_answer(job.result)
    clip = media.clip_path(store, job)
    with st.container():
        if clip is not None and job.state is not State.FAILED:
            show_watching(job)
    with st.container():
        if job.result is not None:
            show_reasons(job)
    show_frames(job, frames, known)
    show_evidence(job, known)
    if job.result is not None:
        show_files(job)
    show_small_print(job)


def _show_unknown() -> None:
    st.html("<h1 class='v-name'>This clip is not here</h1>")
    st.write("It was deleted, was too old to be kept, or the address is not complete.")
    st.page_link("screens/analyze.py", label="Analyze a clip")


def _frames(job_id: str) -> list[int]:
    store = application().store
    return [i for i in range(FRAME_COUNT) if media.frame_path(store, job_id, i).is_file()]


def _show_state(job: Job, frames: list[int]) -> None:
    if not job.state.is_over:
        _show_progress(job.id, _known(job, len(frames)))
    elif job.failure is not None:
        with st.container(border=True):
            st.subheader("This clip could not be analyzed")
            st.text(job.failure.message)
            st.text(job.failure.advice)
            _show_way_on()
    elif job.state is State.CANCELLED:
        with st.container(border=True):
            st.subheader("Cancelled")
            st.text("The work on this clip was ended. What was found until then is below.")
            _show_way_on()


def _show_way_on() -> None:
    st.page_link("screens/analyze.py", label="Try another clip")


@st.fragment(run_every=LOOK_AGAIN_S)
def _show_progress(identifier: str, drawn: Hashable) -> None:
    """The stages and a way to end them; draws the whole page again if more became known."""
    try:
        job = application().store.get(identifier)
    except JobNotFoundError:
        st.rerun()
    if _known(job, len(_frames(identifier))) != drawn:
        st.rerun()
    with st.container(border=True):
        st.subheader(_what_happens(job))
        # Beside a result, what is done needs no room.
        st.html(progress_html(unfinished(job.stages) if job.result else job.stages))
        if st.button("Cancel", disabled=job.cancel_requested):
            application().runner.cancel(identifier)
            st.rerun()


def _what_happens(job: Job) -> str:
    if job.cancel_requested:
        return "Ending the work on this clip"
    if job.state is State.WAITING:
        return "This clip waits its turn"
    return "Looking and listening" if job.result is None else "Following the emotions over time"


def _known(job: Job, frames: int) -> Hashable:
    """What the page shows beside the stages; it is drawn again when this changes."""
    windows = len(job.timeline["windows"]) if job.timeline else 0
    fetched = job.stages.get("fetch")
    has_clip = fetched is None or fetched.state is StageState.DONE
    return (
        job.state,
        has_clip,
        frames,
        tuple(sorted(job.evidence)),
        len(job.evidence.get("absent") or ()),
        job.result is not None,
        windows,
    )


def _show_answer(result: Mapping[str, Any]) -> None:
    left, right = st.columns([5, 7], gap="large", vertical_alignment="center")
    with left:
        st.html(headline_html(result))
        warning = head_warning(result["head"])
        if warning and result["head"]["kind"] == "random":
            st.error(warning)
        elif warning:
            st.caption(warning)
    with right:
        chart = emotions_chart(result["probabilities"])
        st.altair_chart(chart, key="emotions", alt=summary(result))
