"""Errors of Triton's client as this package's: here, and nowhere else."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tritonclient.utils import InferenceServerException

from vemoclap_client.contract import BUSY
from vemoclap_client.errors import (
    InferenceError,
    RequestRejectedError,
    RequestTimeoutError,
    ServerError,
    ServerLostError,
    ServerNotReadyError,
    ServerOverloadedError,
    ServerUnavailableError,
)

TOO_MUCH_TO_DO = (BUSY, "request timeout expired", "exceeds maximum queue size")
"""Triton gives these no status of their own: UNAVAILABLE, or none in a stream's response, with one
of these words."""
RETRY_AFTER = re.compile(rf"{BUSY} (\d+(?:\.\d+)?) s")


@contextmanager
def server_errors(url: str, timeout_s: float, connected: bool = True) -> Iterator[None]:
    """Raises the errors of Triton's client in its block as this package's, see server_error."""
    try:
        yield
    except InferenceServerException as error:
        raise server_error(error, url, timeout_s, connected) from error


def server_error(
    error: InferenceServerException, url: str, timeout_s: float, connected: bool
) -> ServerError:
    """The error for a call that failed.

    Args:
        error: what tritonclient raised.
        url: host:port of the server, for the message.
        timeout_s: the deadline that was set, for the message.
        connected: whether the server had answered before, which tells one that went away from
            one that is not there.
    """
    status = str(error.status() or "").removeprefix("StatusCode.")
    said = error.message() or "no details"
    if status in ("UNAVAILABLE", "") and any(words in said.lower() for words in TOO_MUCH_TO_DO):
        found = RETRY_AFTER.search(said)
        return ServerOverloadedError(
            f"the server at {url} has too much to do ({said}). Try again later, or send fewer "
            "videos at once.",
            float(found[1]) if found else None,
        )
    if status == "DEADLINE_EXCEEDED":
        return RequestTimeoutError(
            f"the server at {url} did not answer within {timeout_s:g} s. It may be overloaded; "
            "try again, or allow more time (--timeout-s)."
        )
    if status == "UNAVAILABLE" and not connected:
        return ServerUnavailableError(
            f"nothing answers at {url} ({said}). Start the server with `make serve`, or name "
            "another with --url or $VEMOCLAP_URL."
        )
    if status in ("UNAVAILABLE", "CANCELLED"):
        return ServerLostError(
            f"the connection to {url} broke during the request ({said}). The server may have been "
            "stopped; start it with `make serve` and try again."
        )
    if status == "NOT_FOUND":
        return ServerNotReadyError(f"the server at {url} misses a model: {said}.")
    if status in ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "OUT_OF_RANGE"):
        return RequestRejectedError(f"the server at {url} refused the request: {said}.")
    return InferenceError(f"a model failed on the server at {url}: {said}.")
