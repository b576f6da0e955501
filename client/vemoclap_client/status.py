"""Maps what Triton's client raises to this package's errors: the one place that reads statuses."""

from tritonclient.utils import InferenceServerException

from vemoclap_client.errors import (
    InferenceError,
    RequestRejectedError,
    RequestTimeoutError,
    ServerError,
    ServerLostError,
    ServerNotReadyError,
    ServerOverloadedError,
)

QUEUE_FULL = "exceeds maximum queue size"
"""Triton gives a full queue no status of its own: UNAVAILABLE, with these words."""


def server_error(error: InferenceServerException, url: str, timeout_s: float) -> ServerError:
    """The error for a request that failed after the server had said that it was ready.

    Args:
        error: what tritonclient raised.
        url: host:port of the server, for the message.
        timeout_s: the time that the answer was given, for the message.
    """
    status = str(error.status() or "").removeprefix("StatusCode.")
    said = error.message() or "no details"
    if status == "UNAVAILABLE" and QUEUE_FULL in said.lower():
        return ServerOverloadedError(
            f"the queue of the server at {url} is full ({said}). Try again later, or send fewer "
            "videos at once."
        )
    if status == "DEADLINE_EXCEEDED":
        return RequestTimeoutError(
            f"the server at {url} did not answer within {timeout_s:g} s. It may be overloaded; "
            "try again, or allow more time (--timeout-s)."
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
