"""The parts of a clip's page below the video: why, what was found, and files."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from ui.application import application
from ui.jobs.job import Job
from ui.routes import media_url
from ui.parts.contributions import contributions_html, contributions_sentence
from ui.screens.result.downloads import downloads
from ui.screens.result.evidence import (
    absent_html,
    audio_events_html,
    caption_html,
    screen_text_html,
    speech_html,
    timings_html,
    warnings_html,
)
from ui.parts.plane import feeling_html, feeling_sentence
from ui.screens.result.frames import frames_html, frames_sentence

NOTE = (
    "The numbers say what the clip conveys, not what anyone in it feels. Do not use them to judge, "
    "select, monitor or score people."
)


def show_reasons(job: Job) -> None:
    """Which modality spoke for what, and where the clip stands between the emotions."""
    result = job.result or {}
    left, right = st.columns([7, 5], gap="large")
    with left:
        section("What spoke for what")
        st.caption(contributions_sentence(result))
        st.html(contributions_html(result))
        st.caption(
            "Each number is what the probability would lose (+) or gain (\N{MINUS SIGN}) without "
            "that source."
        )
    with right:
        section("How it feels")
        st.caption(feeling_sentence(result))
        windows = job.timeline["windows"] if job.timeline else ()
        st.html(feeling_html(result, windows))
        st.caption("The ring is this clip, the small dots are its moments.")


def show_frames(job: Job, frames: Sequence[int], known: Mapping[str, Any]) -> None:
    """The frames that are there, with what was found on them."""
    with st.container():
        if frames:
            section("What the networks saw")
            sentence = frames_sentence(known)
            if sentence:
                st.caption(sentence)
            st.html(frames_html(job.id, frames, known))


def show_evidence(job: Job, known: Mapping[str, Any]) -> None:
    """What was said, written and heard."""
    if not known.get("frame_times_s"):
        return
    columns = st.columns([5, 4, 3], gap="large")
    parts = {"Said": speech_html, "Written": screen_text_html, "Heard": audio_events_html}
    for column, (title, part) in zip(columns, parts.items(), strict=True):
        with column:
            section(title)
            st.html(part(known))
    if known.get("caption"):
        section("In a sentence")
        st.html(caption_html(known["caption"]))
    if known.get("absent"):
        section("What was not there")
        st.html(absent_html(known["absent"]))


def show_files(job: Job) -> None:
    """Downloads, the page's own address, and the end of it all."""
    section("Take it with you")
    with st.container(horizontal=True):
        for file in downloads(job):
            st.download_button(
                file.label,
                file.make,
                file_name=file.file_name,
                mime=file.mime,
                key=file.file_name,
                on_click="ignore",
            )
    st.caption("This page opens again at")
    st.code(media_url(f"/result?id={job.id}"), language=None, wrap_lines=True)


def show_small_print(job: Job) -> None:
    """Warnings, timings, the note, and deletion."""
    result = job.result or {}
    if result.get("warnings"):
        section("Unusual about the file")
        st.html(warnings_html(result["warnings"]))
    if result.get("timings_ms"):
        with st.expander("How long it took"):
            st.caption("Most of it ran side by side: the times do not add up.")
            st.html(timings_html(result["timings_ms"]))
    if result:
        st.caption(NOTE)
        st.page_link("screens/about.py", label="What the numbers mean")
    if job.state.is_over:
        _show_deletion(job)


def _show_deletion(job: Job) -> None:
    with st.popover("Delete this clip"):
        st.text("The video, its frames and its result are removed for everyone, for good.")
        if st.button("Delete it for good", type="primary"):
            application().store.delete(job.id)
            st.switch_page("screens/analyze.py")


def section(title: str) -> None:
    """A heading of one of the page's parts."""
    st.html(f'<h2 class="v-section">{title}</h2>')
