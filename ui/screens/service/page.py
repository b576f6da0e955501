"""How the server is, for those who run it: models, queues, batches, times, and what to do."""

import streamlit as st

from ui.application import application
from ui.parts.server_status import find_last_answer
from ui.screens.service.live import show_service
from ui.screens.service.trial import Trial, try_out
from ui.parts.markdown import plain
from vemoclap_client.errors import ServerError

REFRESH_S = 2.0


def show_page() -> None:
    """The page, from top to bottom."""
    st.title("Service")
    st.fragment(show_service, run_every=REFRESH_S)()
    _show_answering()


def _show_answering() -> None:
    """Which profile and head serve: Triton does not know, each answer says it."""
    app = application()
    st.header("Profile and head")
    answer = find_last_answer(str(app.settings.data))
    if answer:
        profile, head = answer
        st.markdown(f"The latest result came from the {profile} profile, head: {plain(str(head))}.")
    else:
        st.markdown("No clip has been analyzed yet. Each result names its profile and head.")
    st.markdown(
        "To see what serves now, and that every step works, send a test clip of 16 black frames "
        "through the whole server. A model whose process was killed still counts as ready; only "
        "a request tells."
    )
    if st.button("Send a test clip"):
        _try(app.settings.server_url)


def _try(url: str) -> None:
    try:
        with st.spinner("The test clip is on its way"):
            trial = try_out(url)
    except ServerError as error:
        st.error(plain(f"The test clip was not classified: {error}"), icon=":material/error:")
    else:
        st.success(plain(_outcome(trial)), icon=":material/check_circle:")


def _outcome(trial: Trial) -> str:
    return (
        f"The server works: it answered in {trial.took_ms / 1000:.1f} s with the {trial.profile} "
        f"profile, head: {trial.head}."
    )


st.set_page_config(page_title="VEMOCLAP: service", layout="wide")
show_page()
