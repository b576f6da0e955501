"""Sends a request and waits for its response."""

from collections.abc import Mapping
from queue import SimpleQueue
from threading import Event as Flag
from typing import Any

import tritonclient.grpc as triton

from vemoclap_client._retrying import send_again
from vemoclap_client._waiting import Outcome, next_outcome
from vemoclap_client.server_errors import server_errors


def send(
    client: triton.InferenceServerClient,
    request: Mapping[str, Any],
    url: str,
    timeout_s: float,
    connected: bool = True,
    cancel: Flag | None = None,
) -> triton.InferResult:
    """Sends what build_request built, again where that is safe, and waits for the response.

    Args:
        client: a connection to the server.
        request: of build_request.
        url: the server's host:port, for errors.
        timeout_s: longest wait, seconds, all attempts together.
        connected: see server_error.
        cancel: when set, the request is cancelled.

    Raises:
        ServerError: there is no response; its kind says why.
        CancelledError: `cancel` was set.
    """

    def attempt(left_s: float) -> triton.InferResult:
        outcomes: SimpleQueue[Outcome[triton.InferResult]] = SimpleQueue()
        with server_errors(url, timeout_s, connected):
            call = client.async_infer(
                # Triton's client passes these by name.
                callback=lambda result, error: outcomes.put((result, error)),
                **request,
                client_timeout=left_s,
            )
            try:
                return next_outcome(outcomes, cancel)
            finally:
                call.cancel()

    return send_again(attempt, timeout_s, cancel)
