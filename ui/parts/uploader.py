"""The widget that takes video files, and what becomes of the clips that are given on a page."""

from collections.abc import Callable
from functools import partial

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from ui.jobs.job import ClipNotAllowedError, Job, OwnerLimitError, Source, SourceKind
from ui.jobs.library import Library
from ui.parts.limits import upload_label
from ui.parts.markdown import plain
from ui.uploads.reception import UploadGoneError, take_upload
from vemoclap_client.errors import VemoclapError

ROUNDS = "uploader-rounds"
"""Session state: how often files were taken. Part of the uploader's key, so that it is new then."""

OnAdded = Callable[[Job | str], None]
"""Is called for each clip with its job or, where it was not added, with the reason in Markdown."""


def show_uploader(library: Library, on_added: OnAdded) -> None:
    """Shows the widget; what it is given becomes jobs at once."""
    st.file_uploader(
        upload_label(library.settings),
        accept_multiple_files=True,
        max_upload_size=library.settings.upload_limit_mb,
        key=_key(),
        on_change=_take,
        args=(library, on_added),
    )


def add_clip(library: Library, name: str, source: Source | Callable[[], Source]) -> Job | str:
    """Adds a clip.

    Args:
        source: or what finds it, which may raise UploadGoneError.

    Returns:
        Its job or, where it was not added, the reason in Markdown.
    """
    try:
        return library.add(name, source() if callable(source) else source)
    except (VemoclapError, ClipNotAllowedError, OwnerLimitError, UploadGoneError, OSError) as error:
        return f"{plain(name)} was not added: {plain(str(error))}"


def _key() -> str:
    return f"uploader-{st.session_state.get(ROUNDS, 0)}"


def _take(library: Library, on_added: OnAdded) -> None:
    files = st.session_state[_key()]
    st.session_state[ROUNDS] = st.session_state.get(ROUNDS, 0) + 1
    for file in files:
        on_added(add_clip(library, file.name, partial(_source, library, file)))


def _source(library: Library, file: UploadedFile) -> Source:
    return Source(SourceKind.UPLOAD, str(take_upload(library, file)))
