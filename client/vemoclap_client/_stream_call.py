"""The call of the model STREAM over gRPC, blocking and for asyncio.

Over gRPC itself: a client of Triton's has one stream at a time, and does not end the thread that
sends to it.
"""

from collections.abc import AsyncGenerator, Generator
from queue import SimpleQueue
from threading import Event as Flag
from threading import Thread
from typing import Any

import grpc
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from vemoclap_client._waiting import Outcome, next_outcome
from vemoclap_client.channels import open_channel
from vemoclap_client.contract import ENTRY, STEP
from vemoclap_client.credentials import Credentials
from vemoclap_client.tracing import Span

ENDED_EARLY = ("the stream of responses ended before the last one", "StatusCode.UNAVAILABLE")


def stream_responses(
    url: str,
    request: service_pb2.ModelInferRequest,
    timeout_s: float,
    cancel: Flag | None,
    sent: Span,
    credentials: Credentials | None,
) -> Generator[triton.InferResult]:
    """The responses to one request, until the last one.

    However the generator ends, nothing is left at work. `sent` gives the request its id.

    Raises:
        InferenceServerException: as of tritonclient's calls.
        CancelledError: `cancel` was set.
    """
    responses: SimpleQueue[Outcome[Any]] = SimpleQueue()
    with open_channel(url, credentials) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        call = _call(stub, request, timeout_s, sent)
        receiver = Thread(target=_receive, args=(responses, call), name="vemoclap-stream")
        receiver.start()
        try:
            last = False
            while not last:
                response = _checked(next_outcome(responses, cancel))
                last = is_last(response)
                yield response
        finally:
            call.cancel()
            receiver.join()


def _call(stub: Any, request: service_pb2.ModelInferRequest, timeout_s: float, sent: Span) -> Any:
    request.id = sent.request_id
    metadata = tuple(sent.headers.items())
    return stub.ModelStreamInfer(iter([request]), timeout=timeout_s, metadata=metadata)


def _receive(responses: "SimpleQueue[Outcome[Any]]", call: Any) -> None:
    try:
        for response in call:
            responses.put((response, None))
        responses.put((None, InferenceServerException(*ENDED_EARLY)))
    except grpc.RpcError as error:
        responses.put((None, _as_triton_error(error)))


async def stream_responses_async(
    url: str,
    request: service_pb2.ModelInferRequest,
    timeout_s: float,
    sent: Span,
    credentials: Credentials | None,
) -> AsyncGenerator[triton.InferResult]:
    """As stream_responses."""
    async with open_channel(url, credentials, grpc.aio) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        call = _call(stub, request, timeout_s, sent)
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
    return bool(response.as_numpy(STEP)[0, 0].decode() == ENTRY)
