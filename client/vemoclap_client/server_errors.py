"""Errors of Triton's client as this package's: here, and nowhere else."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tritonclient.utils import InferenceServerException

from vemoclap_client.contract import BUSY, TOO_MUCH_TO_DO
from vemoclap_client.errors import (
    AccessDeniedError,
    CertificateError,
    InferenceError,
    RequestRejectedError,
    RequestTimeoutError,
    ServerError,
    ServerLostError,
    ServerNotReadyError,
    ServerOverloadedError,
    ServerUnavailableError,
)

UNKNOWN_MODEL = "request for unknown model"
"""Of a server that is still loading: NOT_FOUND, or no status in a stream's response."""
RETRY_AFTER = re.compile(rf"{BUSY} (\d+(?:\.\d+)?) s")

NO_TLS = re.compile("handshake failed|verification check failed|certificate", re.IGNORECASE)
"""What gRPC says where an encrypted connection fails."""
CLOSED_AT_ONCE = re.compile("last error: .*: socket closed", re.IGNORECASE)
"""What it says of a server that does not accept a client's certificate, or misses it. One that was
there before may have been stopped."""


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
    # Triton gives these no status of their own: UNAVAILABLE, INTERNAL where one model has called
    # another, or none in a stream's response.
    if status in ("UNAVAILABLE", "INTERNAL", "") and any(
        words in said.lower() for words in TOO_MUCH_TO_DO
    ):
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
    if refused := _refusal(status, said, url, connected):
        return refused
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
    if status == "NOT_FOUND" or (not status and UNKNOWN_MODEL in said.lower()):
        return ServerNotReadyError(f"the server at {url} misses a model: {said}.")
    if status in ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "OUT_OF_RANGE"):
        return RequestRejectedError(f"the server at {url} refused the request: {said}.")
    return InferenceError(f"a model failed on the server at {url}: {said}.")


def _refusal(status: str, said: str, url: str, connected: bool) -> ServerError | None:
    """The error of a client that is not let in; None if that is not what happened."""
    if status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return AccessDeniedError(
            f"the server at {url} does not allow this ({said}). Give it a token that it knows: "
            "$VEMOCLAP_TOKEN, or a file with --token-file or $VEMOCLAP_TOKEN_FILE."
        )
    is_closed = not connected and CLOSED_AT_ONCE.search(said)
    if status == "UNAVAILABLE" and (is_closed or NO_TLS.search(said)):
        return CertificateError(
            f"no encrypted connection to {url} ({said}). Check whether the server speaks TLS there "
            "and what signed its certificate (--tls-root), which host it is made out to "
            "(--tls-name), and, if it asks for one, your own (--tls-certificate, --tls-key)."
        )
    return None
