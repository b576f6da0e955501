"""The library's upper part: adds many clips at once, uploaded or from a folder on the server."""

import threading
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import streamlit as st

from ui.jobs.job import AnyJob, Source, SourceKind, State
from ui.jobs.library import Library
from ui.parts.markdown import plain
from ui.parts.uploader import add_clips, holds_files, show_outcome, show_uploader, take_added
from ui.screens.library.rows import FolderClips, folder_clips

CHOSEN_PATHS = "library-paths"
FAILED = frozenset((State.FAILED, State.CANCELLED))
OVER = frozenset(state for state in State if state.is_over)
TAKING = threading.Lock()
"""Held while clips of the folder are added: a second press has to see what the first added."""

FOLDER_KNOWN_FOR_S = 10.0
HOW_TO_SET_FOLDER = (
    "To offer the clips of a folder on this server here, set `$VEMOCLAP_APP_FOLDER` to it and "
    "start the app again."
)


def show_adding(library: Library, jobs: Sequence[AnyJob]) -> None:
    """The part, folded away where there are clips already and the uploader shows no files."""
    show_outcome(len(take_added()))
    with st.expander("Add clips", expanded=not jobs or holds_files(), icon=":material/add:"):
        device, folder = st.tabs(["From your device", "From the server’s folder"])
        with device:
            show_uploader(library)
        with folder:
            _show_folder(library, jobs)


@st.cache_data(ttl=FOLDER_KNOWN_FOR_S, show_spinner="Looking through the folder")
def _list_folder(folder: str) -> FolderClips:
    return folder_clips(Path(folder))


def _show_folder(library: Library, jobs: Sequence[AnyJob]) -> None:
    folder = library.settings.folder
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
    _show_choice(library, folder, clips, jobs)


def _show_choice(
    library: Library, folder: Path, clips: FolderClips, jobs: Sequence[AnyJob]
) -> None:
    st.multiselect(
        f"Clips in the server’s folder ({len(clips.paths)})",
        [str(path) for path in clips.paths],
        key=CHOSEN_PATHS,
        placeholder="Choose clips, or type a part of a name",
    )
    if not clips.is_complete:
        st.caption("There are more clips in the folder than are listed.")
    chosen = st.session_state[CHOSEN_PATHS]
    fresh = not_added_yet(folder, map(str, clips.paths), jobs, FAILED)
    with st.container(horizontal=True):
        st.button(
            f"Analyze chosen ({len(chosen)})",
            disabled=not chosen,
            type="primary",
            on_click=_take_paths,
            args=(library, folder, chosen, OVER),
        )
        st.button(
            f"Analyze all that are not in the library ({len(fresh)})",
            disabled=not fresh,
            on_click=_take_paths,
            args=(library, folder, fresh, FAILED),
        )


def not_added_yet(
    folder: Path, paths: Iterable[str], jobs: Iterable[AnyJob], may_repeat: Collection[State]
) -> list[str]:
    """Those of the folder's clips of which there is no job, or one in a state that may repeat."""
    here = {job.source.location for job in jobs if job.state not in may_repeat}
    root = folder.resolve()
    return [path for path in paths if str((root / path).resolve()) not in here]


def _take_paths(
    library: Library, folder: Path, paths: Sequence[str], may_repeat: Collection[State]
) -> None:
    """Adds clips of the folder, each once, whatever was added since the button was drawn."""
    st.session_state[CHOSEN_PATHS] = []
    root = folder.resolve()
    with TAKING:
        new = not_added_yet(folder, paths, library.list_jobs(), may_repeat)
        clips = [(path, Source(SourceKind.FOLDER, str(root / path))) for path in new]
        add_clips(library, clips)
