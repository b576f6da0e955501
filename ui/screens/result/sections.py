"""The parts of a clip's page below the video: why, what was found, and files."""

from collections.abc import Sequence

import streamlit as st

from ui.jobs.job import Job, Known
from ui.parts.contributions import contributions_html, contributions_sentence
from ui.parts.navigation import Pages
from ui.parts.plane import plane_html, plane_sentence
from ui.parts.style import show_heading
from ui.routes import media_url
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
from ui.screens.result.frames import frames_html, frames_sentence
from vemoclap_client.result import EmotionResult
from vemoclap_client.timeline import Timeline

NOTE = (
    "The numbers say what the clip conveys, not what anyone in it feels. Do not use them to judge, "
    "select, monitor or score people."
)


def show_reasons(result: EmotionResult, timeline: Timeline | None) -> None:
    """Which modality spoke for what, and the clip's valence and arousal."""
    left, right = st.columns([7, 5], gap="large")
    with left:
        show_heading("What spoke for what")
        st.caption(contributions_sentence(result))
        st.html(contributions_html(result))
        st.caption(
            "Each number is what the probability would lose (+) or gain (\N{MINUS SIGN}) without "
            "that source."
        )
    with right:
        show_heading("How it feels")
        sentence = plane_sentence(result)
        st.caption(sentence)
        st.html(plane_html({"": result}, sentence, timeline.windows if timeline else ()))
        st.caption("The ring is this clip, the small dots are its moments.")


def show_frames(job: Job, frames: Sequence[int]) -> None:
    """The frames that are there, with what was found on them."""
    with st.container():
        if frames:
            show_heading("What the networks saw")
            sentence = frames_sentence(job.known)
            if sentence:
                st.caption(sentence)
            st.html(frames_html(job.id, frames, job.known))


def show_evidence(known: Known) -> None:
    """What was said, written and heard."""
    if not known.frame_times_s:
        return
    columns = st.columns([5, 4, 3], gap="large")
    parts = {"Said": speech_html, "Written": screen_text_html, "Heard": audio_events_html}
    for column, (title, part) in zip(columns, parts.items(), strict=True):
        with column:
            show_heading(title)
            st.html(part(known))
    if isinstance(known, EmotionResult) and known.caption:
        show_heading("In a sentence")
        st.html(caption_html(known.caption))
    if known.absent:
        show_heading("What was not there")
        st.html(absent_html(known.absent))


def show_files(job: Job) -> None:
    """Downloads, and the page's own address."""
    show_heading("Take it with you")
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


def show_notes(result: EmotionResult, pages: Pages) -> None:
    """Warnings, timings, and what the numbers are not for."""
    if result.warnings:
        show_heading("Unusual about the file")
        st.html(warnings_html(result.warnings))
    if result.timings_ms:
        with st.expander("How long it took"):
            st.caption("Most of it ran side by side: the times do not add up.")
            st.html(timings_html(result.timings_ms))
    st.caption(NOTE)
    pages.link("about", "What the numbers mean")
