"""The first page: give a clip, by upload, link or sample, and go to its result."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from ui.application import Application, application
from ui.jobs import media
from ui.jobs.adding import add_job
from ui.jobs.job import ClipNotAllowedError, Job, Source, SourceKind
from ui.jobs.store import JobNotFoundError
from ui.server_status import show_problem
from ui.text.links import objection_to
from ui.text.markdown import plain
from ui.text.wording import keeping, length_limit, outcome, upload_label
from ui.uploads.reception import UploadGoneError, take_upload
from vemoclap_client.errors import VemoclapError, VideoError

CLIPS = "clips"
"""Session state: ids of the clips that this browser's session added, the latest first."""

ADDED = "added"
"""Session state: ids of the clips that were just added; the page then leaves for them."""

PROBLEMS = "problems"
"""Session state: why clips that were just given were not added, to be shown once."""

UPLOADS = "uploads"
"""Session state: how often files were taken. Part of the uploader's key, so that it is new then."""

REFRESH_S = 2.0

SAMPLES = {
    "bunny": ("Rabbit", "An animated rabbit: no human face, no words"),
    "portrait": ("Portrait", "A smiling face, a caption and a voice"),
    "title_card": ("Title cards", "Sad words, without a face or sound"),
}
"""Name of a sample's file -> its title and what is in it."""


def show_page() -> None:
    """The page, from top to bottom."""
    app = application()
    _leave_for_added()
    st.title("Which emotion does a video convey?")
    st.markdown(
        "Give a clip. You get the probability of six emotions, and what in the faces, the words "
        "and the sounds speaks for each."
    )
    show_problem()
    for problem in st.session_state.pop(PROBLEMS, []):
        st.error(problem)
    upload, link = st.columns(2, gap="large")
    with upload:
        _show_uploader(app)
        st.caption(keeping(app.settings))
    with link:
        _show_link_form(app)
    _show_samples(app)
    _show_clips(app)


def _leave_for_added() -> None:
    """Opens the result of one clip that was just added, or the library for several."""
    added = st.session_state.pop(ADDED, [])
    if len(added) == 1:
        st.switch_page("screens/result.py", query_params={"id": added[0]})
    elif added:
        st.switch_page("screens/library.py")


def _add(name: str, find_source: Callable[[], Source]) -> None:
    """Adds a clip and remembers it, or why it was not added.

    Args:
        find_source: may raise what `uploads.take_upload` raises.
    """
    try:
        job = add_job(application(), name, find_source())
    except (VemoclapError, ClipNotAllowedError, UploadGoneError, OSError) as error:
        problem = f"{plain(name)} was not added: {plain(str(error))}"
        st.session_state.setdefault(PROBLEMS, []).append(problem)
    else:
        st.session_state.setdefault(ADDED, []).append(job.id)
        st.session_state.setdefault(CLIPS, []).insert(0, job.id)


def _show_uploader(app: Application) -> None:
    st.header("Upload a video")
    st.file_uploader(
        upload_label(app.settings),
        accept_multiple_files=True,
        max_upload_size=app.settings.upload_limit_mb,
        key=_uploader_key(),
        on_change=_take_uploads,
    )


def _uploader_key() -> str:
    return f"uploader-{st.session_state.get(UPLOADS, 0)}"


def _take_uploads() -> None:
    files = st.session_state[_uploader_key()]
    st.session_state[UPLOADS] = st.session_state.get(UPLOADS, 0) + 1
    for file in files:
        _add(file.name, partial(_upload_source, file))


def _upload_source(file: UploadedFile) -> Source:
    return Source(SourceKind.UPLOAD, str(take_upload(application().store, file)))


def _show_link_form(app: Application) -> None:
    st.header("Paste a link")
    with st.form("link", border=False):
        link = st.text_input(
            "Address of a video, or of a page that shows one, as on YouTube",
            placeholder="https://",
            autocomplete="url",
        )
        sent = st.form_submit_button("Analyze link")
    if sent:
        _take_link(link.strip())
    st.caption(
        f"Up to {length_limit(app.settings)}. Some sites turn servers away; then download the "
        "video yourself and upload it."
    )


def _take_link(link: str) -> None:
    objection = objection_to(link)
    if objection:
        st.error(objection)
        return
    _add(link, partial(Source, SourceKind.LINK, link))
    st.rerun()


def _show_samples(app: Application) -> None:
    st.header("Try a sample")
    samples = media.sample_clips(app.settings)
    if not samples:
        st.info("The sample clips are not here. `make samples` fetches and renders them.")
        return
    for column, sample in zip(st.columns(len(samples)), samples, strict=True):
        with column:
            _show_sample(app, sample)


def _show_sample(app: Application, sample: Path) -> None:
    title, description = SAMPLES.get(sample.stem, (sample.stem, "A clip on this server"))
    try:
        st.image(str(media.sample_thumbnail(app.store, sample)), width="stretch", alt=description)
    except VideoError:
        st.caption("No picture of this clip can be decoded.")
    st.button(
        f"Analyze “{plain(title)}”",
        key=f"sample-{sample.name}",
        width="stretch",
        on_click=_take_sample,
        args=(sample,),
    )
    st.caption(plain(description))


def _take_sample(sample: Path) -> None:
    _add(sample.name, partial(Source, SourceKind.SAMPLE, str(sample)))


def _show_clips(app: Application) -> None:
    jobs = _session_jobs(app)
    if not jobs:
        return
    st.header("Your clips")
    waits = any(not job.state.is_over for job in jobs)
    st.fragment(_list_clips, run_every=REFRESH_S if waits else None)()
    st.page_link("screens/library.py", label="All clips are in the Library")


def _session_jobs(app: Application) -> list[Job]:
    jobs = []
    for identifier in st.session_state.get(CLIPS, []):
        try:
            jobs.append(app.store.get(identifier))
        except JobNotFoundError:
            continue
    return jobs


def _list_clips() -> None:
    for job in _session_jobs(application()):
        label = f"{plain(job.name)}: {outcome(job)}"
        st.page_link("screens/result.py", label=label, query_params={"id": job.id})


st.set_page_config(page_title="VEMOCLAP: analyze a video")
show_page()
