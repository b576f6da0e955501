"""The library's upper part: adds many clips at once, uploaded or from a folder on the server."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from ui.application import Application, application
from ui.jobs.adding import add_job
from ui.jobs.job import ClipNotAllowedError, Job, Source, SourceKind, State
from ui.screens.library.rows import FolderClips, folder_clips
from ui.parts.markdown import plain
from ui.parts.limits import upload_label
from ui.uploads.reception import UploadGoneError, take_upload
from vemoclap_client.errors import VemoclapError

UPLOADS = "library-uploads"
"""Session state: how often files were taken. Part of the uploader's key, so that it is new then."""

CHOSEN_PATHS = "library-paths"
NOTES = "library-notes"
"""Session state: what became of the clips that were just given, to be shown once."""

FOLDER_KNOWN_FOR_S = 10.0
HOW_TO_SET_FOLDER = (
    "To offer the clips of a folder on this server here, set `$VEMOCLAP_APP_FOLDER` to it and "
    "start the app again."
)


def show_adding(app: Application, jobs: Sequence[Job]) -> None:
    """The part, folded away where there are clips already."""
    for succeeded, text in st.session_state.pop(NOTES, []):
        (st.success if succeeded else st.error)(text)
    with st.expander("Add clips", expanded=not jobs, icon=":material/add:"):
        device, folder = st.tabs(["From your device", "From the server’s folder"])
        with device:
            _show_uploader(app)
        with folder:
            _show_folder(app, jobs)


def _show_uploader(app: Application) -> None:
    st.file_uploader(
        upload_label(app.settings),
        accept_multiple_files=True,
        max_upload_size=app.settings.upload_limit_mb,
        key=_uploader_key(),
        on_change=_take_uploads,
    )


def _uploader_key() -> str:
    return f"library-uploader-{st.session_state.get(UPLOADS, 0)}"


def _take_uploads() -> None:
    files = st.session_state[_uploader_key()]
    st.session_state[UPLOADS] = st.session_state.get(UPLOADS, 0) + 1
    _note([_add_upload(file) for file in files])


def _add_upload(file: UploadedFile) -> str | None:
    """What went wrong, or None."""
    app = application()
    try:
        path = take_upload(app.store, file)
        add_job(app, file.name, Source(SourceKind.UPLOAD, str(path)))
    except (VemoclapError, ClipNotAllowedError, UploadGoneError, OSError) as error:
        return f"{plain(file.name)} was not added: {plain(str(error))}"
    return None


def _note(outcomes: Sequence[str | None]) -> None:
    """Keeps what to say about the clips that were given; None stands for one that was added."""
    notes = [(False, problem) for problem in outcomes if problem]
    added = len(outcomes) - len(notes)
    if added:
        notes.append((True, f"{added} clip was added." if added == 1 else f"{added} clips added."))
    st.session_state[NOTES] = notes


@st.cache_data(ttl=FOLDER_KNOWN_FOR_S, show_spinner="Looking through the folder")
def _list_folder(folder: str) -> FolderClips:
    return folder_clips(Path(folder))


def _show_folder(app: Application, jobs: Sequence[Job]) -> None:
    folder = app.settings.folder
    if folder is None:
        st.markdown(HOW_TO_SET_FOLDER)
        return
    try:
        clips = _list_folder(str(folder))
    except OSError as error:
        st.error(f"The server’s folder cannot be read: {plain(error.strerror or str(error))}.")
        return
    if not clips.paths:
        st.info("There are no videos in the server’s folder.")
        return
    _show_choice(folder, clips, jobs)


def _show_choice(folder: Path, clips: FolderClips, jobs: Sequence[Job]) -> None:
    st.multiselect(
        f"Clips in the server’s folder ({len(clips.paths)})",
        [str(path) for path in clips.paths],
        key=CHOSEN_PATHS,
        placeholder="Choose clips, or type a part of a name",
    )
    if not clips.is_complete:
        st.caption("There are more clips in the folder than are listed.")
    chosen = st.session_state[CHOSEN_PATHS]
    fresh = not_here_yet(folder, clips, jobs)
    with st.container(horizontal=True):
        st.button(
            f"Analyze chosen ({len(chosen)})",
            disabled=not chosen,
            type="primary",
            on_click=_take_paths,
            args=(folder, chosen),
        )
        st.button(
            f"Analyze all that are not in the library ({len(fresh)})",
            disabled=not fresh,
            on_click=_take_paths,
            args=(folder, fresh),
        )


def not_here_yet(folder: Path, clips: FolderClips, jobs: Sequence[Job]) -> list[str]:
    """The folder's clips that the library has no result of, and does not work on."""
    failed = (State.FAILED, State.CANCELLED)
    here = {job.source.location for job in jobs if job.state not in failed}
    root = folder.resolve()
    return [str(path) for path in clips.paths if str((root / path).resolve()) not in here]


def _take_paths(folder: Path, paths: Sequence[str]) -> None:
    st.session_state[CHOSEN_PATHS] = []
    _note([_add_path(folder, path) for path in paths])


def _add_path(folder: Path, path: str) -> str | None:
    """What went wrong, or None."""
    source = Source(SourceKind.FOLDER, str(folder.resolve() / path))
    try:
        add_job(application(), path, source)
    except (VemoclapError, ClipNotAllowedError, OSError) as error:
        return f"{plain(path)} was not added: {plain(str(error))}"
    return None
