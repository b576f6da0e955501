"""The first page: give a clip, by upload, link or sample, and go to its result."""

import threading
from pathlib import Path

import streamlit as st

from ui.jobs import media
from ui.jobs.job import Job, Source, SourceKind, State
from ui.jobs.library import Library
from ui.jobs.store import JobNotFoundError
from ui.parts.limits import keeping, length_limit
from ui.parts.markdown import plain
from ui.parts.navigation import Pages
from ui.parts.server_status import show_problem
from ui.parts.uploader import (
    PROBLEMS,
    add_clips,
    just_added,
    show_outcome,
    show_uploader,
    take_added,
)
from ui.parts.words import percent
from ui.screens.analyze.links import objection_to
from vemoclap_client.errors import VideoError

CLIPS = "clips"
"""Session state: ids of the clips that this browser's session added, the latest first."""

TAKING = threading.Lock()
"""Held while a sample or a link is added: a second press has to see what the first added."""

REFRESH_S = 2.0

SAMPLES = {
    "bunny": ("Rabbit", "An animated rabbit: no human face, no words"),
    "portrait": ("Portrait", "A smiling face, a caption and a voice"),
    "title_card": ("Title cards", "Sad words, without a face or sound"),
}
"""Name of a sample's file -> its title and what is in it."""


def show_analyze(library: Library, pages: Pages) -> None:
    """The page, from top to bottom."""
    _open_added(pages)
    st.title("Which emotion does a video convey?")
    st.markdown(
        "Give a clip. You get the probability of six emotions, and what in the faces, the words "
        "and the sounds speaks for each."
    )
    show_problem(library.settings.server_url)
    show_outcome()
    upload, link = st.columns(2, gap="large")
    with upload:
        st.header("Upload a video")
        show_uploader(library)
        st.caption(keeping(library.settings, library.owner))
    with link:
        _show_link_form(library)
    _show_samples(library)
    _show_clips(library, pages)


def _open_added(pages: Pages) -> None:
    """Opens the result of one clip that was just added, or the library for several.

    Where others were not added, the page stays and says so.
    """
    clips = st.session_state.setdefault(CLIPS, [])
    added = list(dict.fromkeys(job.id for job in take_added()))
    for identifier in added:
        if identifier not in clips:
            clips.insert(0, identifier)
    if st.session_state.get(PROBLEMS):
        return
    if len(added) == 1:
        pages.open("result", id=added[0])
    elif added:
        pages.open("library")


def _take(library: Library, name: str, source: Source) -> None:
    """Adds a clip; the same one, where this session has it at work, is opened instead.

    A second press of its button comes before the page has taken what the first one added.
    """
    added = just_added()
    with TAKING:
        same = [job for job in (*added, *_session_jobs(library)) if job.source == source]
        at_work = [job for job in same if not job.state.is_over][:1]
        add_clips(library, [] if at_work else [(name, source)])
        added += at_work


def _show_link_form(library: Library) -> None:
    st.header("Paste a link")
    with st.form("link", border=False):
        link = st.text_input(
            "Address of a video, or of a page that shows one, as on YouTube",
            placeholder="https://",
            autocomplete="url",
        )
        sent = st.form_submit_button("Analyze link")
    if sent:
        _take_link(library, link.strip())
    st.caption(
        f"Up to {length_limit(library.settings)}. Some sites turn servers away; then download the "
        "video yourself and upload it."
    )


def _take_link(library: Library, link: str) -> None:
    objection = objection_to(link)
    if objection:
        st.error(objection)
        return
    _take(library, link, Source(SourceKind.LINK, link))
    st.rerun()


def _show_samples(library: Library) -> None:
    st.header("Try a sample")
    samples = media.sample_clips(library.settings)
    if not samples:
        st.info("The sample clips are not here. `make samples` fetches and renders them.")
        return
    for column, sample in zip(st.columns(len(samples)), samples, strict=True):
        with column:
            _show_sample(library, sample)


def _show_sample(library: Library, sample: Path) -> None:
    title, description = SAMPLES.get(sample.stem, (sample.stem, "A clip on this server"))
    try:
        thumbnail = media.sample_thumbnail(library.folders, library.decoder, sample)
        st.image(str(thumbnail), width="stretch", alt=description)
    except VideoError:
        st.caption("No picture of this clip can be decoded.")
    st.button(
        f"Analyze “{plain(title)}”",
        key=f"sample-{sample.name}",
        width="stretch",
        on_click=_take_sample,
        args=(library, sample),
    )
    st.caption(plain(description))


def _take_sample(library: Library, sample: Path) -> None:
    _take(library, sample.name, Source(SourceKind.SAMPLE, str(sample.resolve())))


def _show_clips(library: Library, pages: Pages) -> None:
    jobs = _session_jobs(library)
    if not jobs:
        return
    st.header("Your clips")
    are_over = all(job.state.is_over for job in jobs)
    st.fragment(_list_clips, run_every=None if are_over else REFRESH_S)(library, pages)
    pages.link("library", "All clips are in the Library")


def _session_jobs(library: Library) -> list[Job]:
    jobs = []
    for identifier in st.session_state.get(CLIPS, []):
        try:
            jobs.append(library.get(identifier))
        except JobNotFoundError:
            continue
    return jobs


def _list_clips(library: Library, pages: Pages) -> None:
    for job in _session_jobs(library):
        pages.link("result", f"{plain(job.name)}: {outcome(job)}", id=job.id)


def outcome(job: Job) -> str:
    """How far a job is, or what came out, in a few words."""
    if job.state is State.DONE and job.result:
        emotion = job.result.emotion
        if emotion is None:
            return "no emotion stands out"
        return f"{emotion}, {percent(job.result.probabilities[emotion])}"
    return {
        State.WAITING: "waits its turn",
        State.WORKING: "being analyzed",
        State.FAILED: "could not be analyzed",
        State.CANCELLED: "cancelled",
    }.get(job.state, "done")
