"""One clip's page: its state, its result, and below them what it was found from.

The page is drawn anew only when something about the clip became known: a small part of it, which
draws itself every half second, looks. What did not change keeps its place and its content, so
that the browser leaves it alone: the video plays on while the timeline grows.
"""

from collections.abc import Hashable
from contextlib import suppress

import streamlit as st

from ui.jobs import media
from ui.jobs.job import Job, StageState, State
from ui.jobs.library import Library
from ui.jobs.store import JobNotFoundError
from ui.parts.charts import emotions_chart
from ui.parts.headline import headline_html, probabilities_sentence, title_html
from ui.parts.navigation import Pages
from ui.parts.style import STYLE
from ui.parts.words import head_warning
from ui.screens.result.player import show_player
from ui.screens.result.progress import progress_html, unfinished
from ui.screens.result.sections import (
    show_evidence,
    show_files,
    show_frames,
    show_notes,
    show_reasons,
)
from vemoclap_client.contract import FRAME_COUNT
from vemoclap_client.result import EmotionResult

REFRESH_S = 0.5


def show_result(library: Library, pages: Pages) -> None:
    """Draws the page of the clip whose id the address names."""
    st.html(STYLE)
    try:
        job = library.get(st.query_params.get("id", ""))
    except JobNotFoundError:
        _show_unknown(pages)
        return
    frames = _frames(library, job.id)
    st.html(title_html(job.name, job.source.kind, job.known.duration_s))
    with st.container():  # Everything below stays in its place, whatever comes or goes here.
        _show_state(library, pages, job, len(frames))
    with st.container():
        if job.result is not None:
            _show_emotions(job.result)
    with st.container():
        if media.clip_path(library.folders, job) is not None and job.state is not State.FAILED:
            show_player(job)
    with st.container():
        if job.result is not None:
            show_reasons(job.result, job.timeline)
    show_frames(job, frames)
    show_evidence(job.known)
    if job.result is not None:
        show_files(job)
        show_notes(job.result, pages)
    if job.state.is_over:
        _show_deletion(library, pages, job)


def _show_unknown(pages: Pages) -> None:
    st.html("<h1 class='v-name'>This clip is not here</h1>")
    st.write("It was deleted, was too old to be kept, or the address is not complete.")
    pages.link("analyze", "Analyze a clip")


def _frames(library: Library, job_id: str) -> list[int]:
    """The indices of the frames that are written, 0 to 15."""
    return [i for i in range(FRAME_COUNT) if media.frame_path(library.folders, job_id, i).is_file()]


def _show_state(library: Library, pages: Pages, job: Job, frame_count: int) -> None:
    if not job.state.is_over:
        _show_progress(library, job.id, _drawn_from(job, frame_count))
    elif job.failure is not None:
        _show_end(pages, "This clip could not be analyzed", job.failure.message, job.failure.advice)
    elif job.state is State.CANCELLED:
        _show_end(
            pages,
            "Cancelled",
            "The work on this clip was ended. What was found until then is below.",
        )


def _show_end(pages: Pages, title: str, *sentences: str) -> None:
    with st.container(border=True):
        st.subheader(title)
        for sentence in sentences:
            st.text(sentence)
        pages.link("analyze", "Try another clip")


@st.fragment(run_every=REFRESH_S)
def _show_progress(library: Library, identifier: str, drawn_from: Hashable) -> None:
    """The stages and a way to end them; draws the whole page again if more became known."""
    try:
        job = library.get(identifier)
    except JobNotFoundError:
        st.rerun()
    with st.container(border=True):
        st.subheader(_activity(job))
        # Beside a result, what is done needs no room.
        st.html(progress_html(unfinished(job.stages) if job.result else job.stages))
        if st.button("Cancel", disabled=job.cancel_requested):
            with suppress(JobNotFoundError):  # It may be deleted meanwhile.
                job = library.cancel(identifier)
    # Last, since drawing again forgets which button was pressed.
    if _drawn_from(job, len(_frames(library, identifier))) != drawn_from:
        st.rerun()


def _activity(job: Job) -> str:
    if job.cancel_requested:
        return "Ending the work on this clip"
    if job.state is State.WAITING:
        return "This clip waits its turn"
    return "Looking and listening" if job.result is None else "Following the emotions over time"


def _drawn_from(job: Job, frame_count: int) -> Hashable:
    """What the page shows beside the stages; it is drawn again when this changes."""
    fetched = job.stages.get("fetch")
    has_clip = fetched is None or fetched.state is StageState.DONE
    evidence = job.evidence
    return (
        job.state,
        has_clip,
        frame_count,
        evidence.frame_times_s is not None,
        evidence.faces is not None,
        evidence.speech is not None,
        evidence.screen_text is not None,
        evidence.audio_events is not None,
        len(evidence.absent),
        job.result is not None,
        len(job.timeline.windows) if job.timeline else 0,
    )


def _show_emotions(result: EmotionResult) -> None:
    left, right = st.columns([5, 7], gap="large", vertical_alignment="center")
    with left:
        st.html(headline_html(result))
        warning = head_warning(result.head)
        if warning and result.head.kind == "random":
            st.error(warning)
        elif warning:
            st.caption(warning)
    with right:
        chart = emotions_chart(result.probabilities)
        st.altair_chart(chart, key="emotions", alt=probabilities_sentence(result))


def _show_deletion(library: Library, pages: Pages, job: Job) -> None:
    with st.popover("Delete this clip"):
        st.text("The video, its frames and its result are removed for good, for everyone.")
        if st.button("Delete it for good", type="primary"):
            library.delete(job.id)
            pages.open("analyze")
