"""What every page says about the server: whether it can classify, and which head answered last."""

from dataclasses import dataclass

import streamlit as st

from ui.application import application
from ui.jobs.job import State
from vemoclap_client import EmotionClient
from vemoclap_client.analysis import Head
from vemoclap_client.errors import (
    RequestTimeoutError,
    ServerNotReadyError,
    ServerUnavailableError,
    VemoclapError,
)

CHECK_TIMEOUT_S = 1.0
CHECKED_FOR_S = 3.0
"""An answer is used again for that long: many pages may ask at once."""

ASK_AGAIN_S = 5.0
HEAD_KNOWN_FOR_S = 15.0
"""Looking for the last answer reads every job."""


@dataclass(frozen=True)
class Problem:
    """Why the server cannot classify now, and what to do about it."""

    happened: str
    advice: str


@st.cache_data(ttl=CHECKED_FOR_S, show_spinner=False)
def find_problem(url: str) -> Problem | None:
    """Asks the server whether it can classify; None if it can.

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


def show_problem() -> None:
    """Says that the server cannot classify, until it can; shows nothing if all is well."""
    problem = find_problem(application().settings.server_url)
    st.fragment(_show_problem, run_every=ASK_AGAIN_S if problem else None)()


def _show_problem() -> None:
    problem = find_problem(application().settings.server_url)
    if problem:
        st.warning(f"**{problem.happened}** {problem.advice}")


@st.cache_data(ttl=HEAD_KNOWN_FOR_S, show_spinner=False)
def find_last_answer(data: str) -> tuple[str, Head] | None:
    """The profile and the head that gave the latest result; None if there is no result.

    Args:
        data: the app's folder, so that each has its own answer.
    """
    for job in application().store.list():
        if job.state is State.DONE and job.result:
            return job.result["profile"], Head(**job.result["head"])
    return None


def show_last_answer() -> None:
    """A line below each page: which head gave the latest result."""
    answer = find_last_answer(str(application().settings.data))
    if answer:
        profile, head = answer
        st.caption(f"Latest answer: {profile} profile, head: {head}")
    else:
        st.caption("No clip has been analyzed yet. Each result names the head that gave it.")
