"""Lines about the server: why it cannot classify, and which head gave the latest result."""

from dataclasses import dataclass

import streamlit as st

from ui.jobs.library import Library
from vemoclap_client import EmotionClient
from vemoclap_client.errors import (
    RequestTimeoutError,
    ServerNotReadyError,
    ServerUnavailableError,
    VemoclapError,
)

CHECK_TIMEOUT_S = 1.0
CHECKED_FOR_S = 3.0
"""How long the outcome of a check is kept: many pages may ask for it."""

ASK_AGAIN_S = 5.0


@dataclass(frozen=True)
class Problem:
    """Why the server cannot classify now, and what to do about it."""

    happened: str
    advice: str


@st.cache_data(ttl=CHECKED_FOR_S, show_spinner=False)
def find_problem(url: str) -> Problem | None:
    """Checks whether the server can classify; None if it can.

    Args:
        url: host:port of its gRPC endpoint. It is given a second to answer.
    """
    try:
        with EmotionClient(url, timeout_s=CHECK_TIMEOUT_S) as client:
            client.check_ready()
    except VemoclapError as error:
        return _explain(error, url)
    return None


def _explain(error: VemoclapError, url: str) -> Problem:
    if isinstance(error, ServerUnavailableError):
        return Problem(
            f"The server is not running: nothing answers at {url}.",
            "Until it is there, no clip can be analyzed. Start it with `make serve`, or set "
            "`VEMOCLAP_URL` to the address of another and start the app again.",
        )
    if isinstance(error, ServerNotReadyError):
        return Problem(
            "The server is not ready: it is still loading its models, or one failed to load.",
            "Wait a little, or look at the Service page for the model that is missing.",
        )
    if isinstance(error, RequestTimeoutError):
        return Problem(
            f"The server at {url} did not answer within {CHECK_TIMEOUT_S:g} second.",
            "It may be busy. If this stays, look at its messages, or start it with `make serve`.",
        )
    return Problem("The server does not answer as it should.", str(error))


def show_problem(url: str) -> None:
    """Shows why the server cannot classify, until it can; nothing if all is well."""
    has_problem = find_problem(url) is not None
    st.fragment(_show_problem, run_every=ASK_AGAIN_S if has_problem else None)(url)


def _show_problem(url: str) -> None:
    problem = find_problem(url)
    if problem:
        st.warning(f"**{problem.happened}** {problem.advice}")


def show_latest_head(library: Library) -> None:
    """A line below each page: which profile and head gave the latest result."""
    job = library.latest_done()
    if job is None or job.result is None:
        st.caption("No clip has been analyzed yet. Each result names the head that gave it.")
    else:
        st.caption(f"Latest answer: {job.result.profile} profile, head: {job.result.head}")
