"""How the server is, for those who run it: models, queues, batches, times, and what to do."""

import streamlit as st

from ui.jobs.library import Library
from ui.parts.markdown import plain
from ui.parts.navigation import Pages
from ui.parts.server_status import show_latest_head
from ui.screens.service.live import show_state
from ui.screens.service.trial import Trial, send_test_clip
from vemoclap_client.errors import VemoclapError

REFRESH_S = 2.0


def show_service(library: Library, pages: Pages) -> None:
    """The page, from top to bottom."""
    st.title("Service")
    st.fragment(show_state, run_every=REFRESH_S)(library, pages)
    st.header("Profile and head")
    # Triton does not know them; each result names those that it came from.
    show_latest_head(library)
    st.markdown(
        "To see what serves now, and that every step works, send a test clip of 16 black frames "
        "through the whole server. A model whose process was killed still counts as ready; only "
        "a request tells."
    )
    if st.button("Send a test clip"):
        _show_trial(library.settings.server_url)


def _show_trial(url: str) -> None:
    try:
        with st.spinner("The test clip is on its way"):
            trial = send_test_clip(url)
    except VemoclapError as error:
        st.error(plain(f"The test clip was not classified: {error}"), icon=":material/error:")
    else:
        st.success(plain(_outcome(trial)), icon=":material/check_circle:")


def _outcome(trial: Trial) -> str:
    return (
        f"The server works: it answered in {trial.took_ms / 1000:.1f} s with the {trial.profile} "
        f"profile, head: {trial.head}."
    )
