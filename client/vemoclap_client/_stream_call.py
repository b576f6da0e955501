"""The call of the model STREAM over gRPC, blocking and for asyncio.

Over gRPC itself: a client of Triton's has one stream at a time, and does not end the thread that
sends to it.
"""

from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import CancelledError
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Thread
from typing import Any, TypeAlias, TypeVar

import grpc
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from vemoclap_client.channels import channel_options, channel_target
from vemoclap_client.contract import ENSEMBLE, STEP

ENDED_EARLY = ("the stream of responses ended before the last one", "StatusCode.UNAVAILABLE")

POLL_INTERVAL_S = 0.1
"""How often a waiting thread checks whether it was cancelled."""

Value = TypeVar("Value")
Outcome: TypeAlias = tuple[Value | None, BaseException | None]
"""A value or, in its place, the error."""


def stream_responses(
    url: str, request: service_pb2.ModelInferRequest, timeout_s: float, cancel: Flag | None
) -> Generator[triton.InferResult]:
    """The responses to one request, until the last one.

    However the generator ends, nothing is left at work.

    Raises:
        InferenceServerException: as of tritonclient's calls.
        CancelledError: `cancel` was set.
    """
    responses: SimpleQueue[Outcome[Any]] = SimpleQueue()
    with grpc.insecure_channel(channel_target(url), channel_options(url)) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        call = stub.ModelStreamInfer(iter([request]), timeout=timeout_s)
        receiver = Thread(target=_receive, args=(responses, call), name="vemoclap-stream")
        receiver.start()
        try:
            last = False
            while not last:
                response = _checked(_next_outcome(responses, cancel))
                last = is_last(response)
                yield response
        finally:
            call.cancel()
            receiver.join()


def _receive(responses: "SimpleQueue[Outcome[Any]]", call: Any) -> None:
    try:
        for response in call:
            responses.put((response, None))
        responses.put((None, InferenceServerException(*ENDED_EARLY)))
    except grpc.RpcError as error:
        responses.put((None, _as_triton_error(error)))


async def stream_responses_async(
    url: str, request: service_pb2.ModelInferRequest, timeout_s: float
) -> AsyncGenerator[triton.InferResult]:
    """As stream_responses."""
    async with grpc.aio.insecure_channel(channel_target(url), channel_options(url)) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        call = stub.ModelStreamInfer(iter([request]), timeout=timeout_s)
        try:
            async for message in call:
                response = _checked(message)
                yield response
                if is_last(response):
                    return
            raise InferenceServerException(*ENDED_EARLY)
        except grpc.RpcError as error:
            raise _as_triton_error(error) from error
        finally:
            call.cancel()


def _checked(message: service_pb2.ModelStreamInferResponse) -> triton.InferResult:
    """The response in a message.

    Raises:
        InferenceServerException: it is an error, which has a text but no status.
    """
    if message.error_message:
        raise InferenceServerException(message.error_message)
    return triton.InferResult(message.infer_response)


def _as_triton_error(error: Any) -> InferenceServerException:
    """A gRPC error as tritonclient raises it."""
    return InferenceServerException(error.details(), str(error.code()))


def is_last(response: triton.InferResult) -> bool:
    """Whether no response follows."""
    return bool(response.as_numpy(STEP)[0, 0].decode() == ENSEMBLE)


def run_cancellable(work: Callable[[], Value], cancel: Flag | None) -> Value:
    """What `work` returns or raises; it runs in a thread, and is left alone when cancelled.

    Raises:
        CancelledError: `cancel` was set.
    """
    outcomes: SimpleQueue[Outcome[Value]] = SimpleQueue()

    def run() -> None:
        try:
            outcomes.put((work(), None))
        except BaseException as error:
            outcomes.put((None, error))

    Thread(target=run, name="vemoclap-decode", daemon=True).start()
    return _next_outcome(outcomes, cancel)


def _next_outcome(outcomes: "SimpleQueue[Outcome[Value]]", cancel: Flag | None) -> Value:
    """Waits for the queue's next outcome, and returns or raises it.

    Raises:
        CancelledError: `cancel` was set.
    """
    while True:
        if cancel is not None and cancel.is_set():
            raise CancelledError("the classification was cancelled")
        try:
            value, error = outcomes.get(timeout=POLL_INTERVAL_S)
        except Empty:
            continue
        if error is not None:
            raise error
        assert value is not None
        return value
