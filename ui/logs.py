"""The app's logs and traces, as the environment asks for them."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from vemoclap_client.logs import LogFormat, set_up_logs
from vemoclap_client.tracing import requests_named, set_up_traces, start_call

LOG = logging.getLogger(__name__)

SERVICE = "vemoclap-app"
TEXT = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
STREAMLIT_HANDLER = "streamlit_console_handler"
"""The attribute of a logger that holds the handler that Streamlit has given it."""


def set_up_observation() -> None:
    """Sets up logs and traces, see vemoclap_client.logs and vemoclap_client.tracing.

    Raises:
        ValueError: $VEMOCLAP_LOG_FORMAT names no format, or one whose package is missing.
    """
    text = logging.StreamHandler()
    text.setFormatter(TEXT)
    set_up_logs(LogFormat.read(), SERVICE, [text])
    if not set_up_traces(SERVICE):
        LOG.warning("no traces are sent: pip install 'vemoclap-client[traces]'")


def take_over_streamlit() -> None:
    """Has Streamlit's messages written as the app's own, once it has set up its logs."""
    # A request's line has its whole address, and whoever knows that of a clip can see the clip.
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    # Its own handler would write each line a second time, as text.
    uvicorn = logging.getLogger("uvicorn")
    uvicorn.handlers.clear()
    uvicorn.propagate = True
    for logger in list(logging.root.manager.loggerDict.values()):
        if handler := getattr(logger, STREAMLIT_HANDLER, None):
            assert isinstance(logger, logging.Logger)
            logger.removeHandler(handler)
            logger.propagate = True


def short(job_id: str) -> str:
    """A job's id for logs: not all of it, since whoever knows it can see the job."""
    return job_id[:6]


@contextmanager
def recorded(part: str, job_id: str, request_id: str) -> Iterator[None]:
    """Logs how a part of a job's work ends, as a span too, and gives its requests their id."""
    started = time.monotonic()
    outcome = "done"
    with requests_named(request_id), start_call(f"job {part}") as span, span.as_current():
        try:
            yield
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            duration_s = round(time.monotonic() - started, 3)
            LOG.info(
                "job %s: %s: %s after %.1f s",
                *(short(job_id), part, outcome, duration_s),
                extra={"part": part, "outcome": outcome, "duration_s": duration_s},
            )
