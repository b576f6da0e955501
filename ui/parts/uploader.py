"""The widget that takes video files, and what becomes of the clips that are given on a page."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import streamlit as st
from streamlit.runtime.uploaded_file_manager import DeletedFile, UploadedFile

from ui.jobs.job import ClipNotAllowedError, Job, OwnerLimitError, Source, SourceKind
from ui.jobs.library import Library
from ui.parts.limits import upload_label
from ui.parts.markdown import plain
from ui.parts.words import counted
from ui.uploads.reception import UploadGoneError, take_upload
from vemoclap_client.errors import VemoclapError

KEY = "uploader"
TAKEN = "uploader-taken"
"""Session state: ids of the widget's files that were taken. They stay in it, so that the errors of
those that it refused do, too."""

ADDED = "added"
"""Session state: jobs of the clips that were just added, until a page has said so."""

PROBLEMS = "problems"
"""Session state: why clips were not added, in Markdown; kept until others are given, or the page
is left."""

MOST_PROBLEMS_SHOWN = 10
REFUSALS = (VemoclapError, ClipNotAllowedError, OwnerLimitError, UploadGoneError, OSError)
"""Errors that say why a clip was not added."""

GivenClip = tuple[str, Source | Callable[[], Source]]
"""A clip's name and source, or what finds the source, which may raise UploadGoneError."""


def show_uploader(library: Library) -> None:
    """Shows the widget; what it is given becomes jobs at once."""
    st.file_uploader(
        upload_label(library.settings),
        accept_multiple_files=True,
        max_upload_size=library.settings.upload_limit_mb,
        key=KEY,
        on_change=_take,
        args=(library,),
    )
    # The page gets the files when the last of them is there.
    st.caption("Stay on this page until all files are uploaded.")


def holds_files() -> bool:
    """Whether the widget shows files that were uploaded."""
    return bool(st.session_state.get(KEY))


def add_clips(library: Library, clips: Iterable[GivenClip]) -> None:
    """Adds the clips that someone gave at once, for `take_added` and `show_outcome`."""
    # Streamlit may end a script where it uses the session state: not once clips are added.
    problems = st.session_state[PROBLEMS] = []
    added = just_added()
    for name, source in clips:
        try:
            added.append(library.add(name, source() if callable(source) else source))
        except REFUSALS as error:
            problems.append(f"{plain(name)} was not added: {plain(str(error))}")


def just_added() -> list[Job]:
    """The session's list of jobs that were just added; it stays the same list."""
    added: list[Job] = st.session_state.setdefault(ADDED, [])
    return added


def take_added() -> list[Job]:
    """The jobs that were added since the last call."""
    added = just_added()
    taken = added.copy()
    # Not all: another thread may add clips at this moment.
    del added[: len(taken)]
    return taken


def show_outcome(added: int = 0) -> None:
    """Says of the clips that were given last how many were added, and why others were not."""
    # There with or without messages: where it moves, the uploader forgets what it refused.
    with st.container():
        _show_problems()
        if added:
            st.success(f"{counted(added, 'clip')} added.")


def _show_problems() -> None:
    problems = st.session_state.get(PROBLEMS, [])
    for problem in problems[:MOST_PROBLEMS_SHOWN]:
        st.error(problem)
    if len(problems) > MOST_PROBLEMS_SHOWN:
        more = counted(len(problems) - MOST_PROBLEMS_SHOWN, "clip")
        st.error(f"Not added either, for such reasons: {more}.")


def _take(library: Library) -> None:
    files = [file for file in st.session_state[KEY] if not isinstance(file, DeletedFile)]
    taken: set[str] = st.session_state.setdefault(TAKEN, set())
    if any(file.file_id not in taken for file in files):
        add_clips(library, _new_clips(library, files, taken))


def _new_clips(
    library: Library, files: Iterable[UploadedFile], taken: set[str]
) -> Iterator[GivenClip]:
    """The files that were not taken, each of which is noted as taken when its turn comes."""
    for file in files:
        if file.file_id not in taken:
            taken.add(file.file_id)
            yield file.name, partial(_source, library, file)


def _source(library: Library, file: UploadedFile) -> Source:
    return Source(SourceKind.UPLOAD, str(take_upload(library, file)))
