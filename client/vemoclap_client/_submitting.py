"""Sends a request without waiting for its response."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from vemoclap_client.requests import Response
from vemoclap_client.server_errors import server_errors
from vemoclap_client.tracing import Span

Value = TypeVar("Value")


def submit(
    client: triton.InferenceServerClient,
    request: dict[str, Any],
    parse: Callable[[Response], Value],
    call: Span,
    url: str,
    timeout_s: float,
) -> Future[Value]:
    """Sends a request; cancelling the future cancels it.

    Args:
        client: a connection to the server.
        request: of build_inference.
        parse: makes the future's result of the response.
        call: what the request is a part of.
        url: the server's, for errors.
        timeout_s: longest wait, seconds.
    """
    future: Future[Value] = Future()
    sent = call.send(request["model_name"])

    def finish(
        result: triton.InferResult | None, error: InferenceServerException | None
    ) -> None:  # Triton's client passes these by name.
        if not future.set_running_or_notify_cancel():
            sent.end()
            return
        try:
            with sent, server_errors(url, timeout_s):
                value = parse(_checked(result, error))
        except Exception as failure:
            future.set_exception(failure)
        else:
            future.set_result(value)

    running = client.async_infer(
        callback=finish, **request, **sent.options, client_timeout=timeout_s
    )
    future.add_done_callback(lambda done: running.cancel() if done.cancelled() else None)
    return future


def _checked(
    response: triton.InferResult | None, error: InferenceServerException | None
) -> triton.InferResult:
    if response is None:
        raise error or InferenceServerException("neither a response nor an error came")
    return response
