"""What is sent again, and what is not, to a gRPC server of this process that fails on demand."""

import asyncio
import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.launching import wait_until
from vemoclap_client import AsyncEmotionClient, EmotionClient
from vemoclap_client._retrying import LOST_AT_MOST
from vemoclap_client.channels import connection
from vemoclap_client.contract import BUSY, FRAMES
from vemoclap_client.errors import (
    InferenceError,
    RequestRejectedError,
    ServerError,
    ServerLostError,
    ServerNotReadyError,
    ServerOverloadedError,
    ServerUnavailableError,
)
from vemoclap_client.media.video import DecodedClip
from vemoclap_client.requests import build_inference
from vemoclap_client.sending import send
from vemoclap_client.tracing import start_call

REQUEST = build_inference("any", {FRAMES: np.zeros((1, 16, 1, 1, 3), np.uint8)}, ())
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
WAIT_S = 60.0
"""Longer than any test lasts."""
Failure = tuple[grpc.StatusCode, str]
Way = Callable[[str, float], Any]


class Failing(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Fails with each of `failures` in turn, then answers; counts the requests."""

    def __init__(self) -> None:
        self.url = ""
        self.failures: deque[Failure] = deque()
        self.count = 0

    def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        return service_pb2.ModelReadyResponse(ready=True)

    def ModelStreamInfer(self, requests: Any, context: Any) -> Any:  # noqa: N802
        self.count += len(list(requests))
        yield service_pb2.ModelStreamInferResponse(error_message=self.failures.popleft()[1])

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802, gRPC calls it so
        self.count += 1
        if self.failures:
            context.abort(*self.failures.popleft())
        return service_pb2.ModelInferResponse(model_name="any")


@pytest.fixture
def server() -> Iterator[Failing]:
    running = grpc.server(ThreadPoolExecutor(2))
    failing = Failing()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(failing, running)
    failing.url = f"127.0.0.1:{running.add_insecure_port('127.0.0.1:0')}"
    running.start()
    yield failing
    running.stop(None).wait()


def blocking(url: str, timeout_s: float) -> Any:
    with triton.InferenceServerClient(**connection(url)) as client:
        return send(client, REQUEST, url, timeout_s)


def in_asyncio(url: str, timeout_s: float) -> Any:
    async def ask() -> Any:
        async with AsyncEmotionClient(url, timeout_s=timeout_s) as client:
            return await client._send(REQUEST, start_call("test"))

    return asyncio.run(ask())


WAYS = pytest.mark.parametrize("ask", [blocking, in_asyncio])


def busy(retry_after_s: float) -> Failure:
    return UNAVAILABLE, f"{BUSY} {retry_after_s} s: all at work"


@WAYS
def test_what_passes_is_sent_again_until_it_is_answered(server: Failing, ask: Way) -> None:
    server.failures.extend(
        [
            busy(0.2),
            (UNAVAILABLE, "Socket closed"),
            (grpc.StatusCode.NOT_FOUND, "Request for unknown model"),
            (UNAVAILABLE, "Request timeout expired"),
        ]
    )
    assert ask(server.url, 30.0).get_response().model_name == "any"
    assert server.count == 5


def test_a_refused_request_comes_back_after_the_time_that_is_named_and_not_much_later(
    server: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    server.failures.extend([busy(3.0)] * 20 + [busy(0.0)])
    blocking(server.url, 600.0)
    assert all(3.0 <= wait <= 4.5 for wait in waits[:20])
    assert 0.25 <= waits[20] < 1
    assert len(set(waits)) == len(waits), "those that were refused together come back together"


@WAYS
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, RequestRejectedError),
        (grpc.StatusCode.INTERNAL, InferenceError),
    ],
)
def test_what_was_rejected_or_failed_is_not_sent_again(
    server: Failing, ask: Way, status: grpc.StatusCode, expected: type[ServerError]
) -> None:
    server.failures.append((status, "no"))
    with pytest.raises(expected):
        ask(server.url, 30.0)
    assert server.count == 1


@WAYS
def test_the_last_error_is_raised_when_the_deadline_leaves_no_time_to_wait(
    server: Failing, ask: Way
) -> None:
    server.failures.extend([busy(0.1), *[busy(60)] * 9])
    started = time.monotonic()
    with pytest.raises(ServerOverloadedError) as raised:
        ask(server.url, 20.0)
    assert time.monotonic() - started < 20, "it does not wait for what would come too late"
    assert raised.value.retry_after_s == 60
    assert server.count == 2
    assert pickle.loads(pickle.dumps(raised.value)).retry_after_s == 60


def test_a_server_that_does_not_come_back_is_given_up(
    server: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    server.failures.extend([(UNAVAILABLE, "Socket closed")] * 100)
    with pytest.raises(ServerLostError):
        blocking(server.url, 600.0)
    assert server.count == LOST_AT_MOST
    assert 30 < sum(waits) < 90
    assert all(0.125 * 2**n <= wait <= 0.25 * 2**n for n, wait in enumerate(waits[:6]))


def test_what_never_answered_is_not_waited_for(server: Failing) -> None:
    server.failures.append((UNAVAILABLE, "failed to connect"))
    with (
        triton.InferenceServerClient(**connection(server.url)) as connected,
        pytest.raises(ServerUnavailableError),
    ):
        send(connected, REQUEST, server.url, 30.0, connected=False)
    assert server.count == 1


@contextmanager
def after_requests(server: Failing, count: int, end: Callable[[], object]) -> Iterator[None]:
    """Calls `end` in a thread once the server has had so many requests; the block then ends soon.

    Soon: not when the server would take another request, after a minute.
    """

    def wait_and_end() -> None:
        wait_until(lambda: server.count >= count)
        end()

    ending = threading.Thread(target=wait_and_end)
    started = time.monotonic()
    ending.start()
    try:
        yield
    finally:
        ending.join()
    assert time.monotonic() - started < WAIT_S / 2


def test_a_set_flag_ends_the_wait(server: Failing) -> None:
    server.failures.extend([busy(WAIT_S)] * 9)
    cancel = threading.Event()
    with (
        triton.InferenceServerClient(**connection(server.url)) as client,
        after_requests(server, 1, cancel.set),
        pytest.raises(CancelledError),
    ):
        send(client, REQUEST, server.url, 600.0, cancel=cancel)
    assert server.count == 1


@pytest.mark.parametrize("end", ["", "cancel", "close"])
def test_a_stream_that_is_refused_is_sent_again_until_it_is_cancelled_or_its_client_closed(
    server: Failing, end: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clip = DecodedClip(
        frames=np.zeros((16, 8, 8, 3), np.uint8),
        frame_times_s=(0.0,) * 16,
        audio=np.zeros(0, np.float32),
        audio_absent_reason=None,
        duration_s=1.0,
        width=8,
        height=8,
        warnings=(),
    )
    monkeypatch.setattr("vemoclap_client.media.decoder.decode", lambda *_: clip)
    (tmp_path / "any.mp4").write_bytes(b"any")
    server.failures.extend([busy(0.1), busy(WAIT_S if end else 0.1), (UNAVAILABLE, "broken")])
    cancel = threading.Event()
    with EmotionClient(server.url) as client:
        events = client.stream(tmp_path / "any.mp4", cancel=None if end == "close" else cancel)
        next(events)
        ends = {"": lambda: None, "cancel": cancel.set, "close": client.close}
        with (
            after_requests(server, 2, ends[end]),
            pytest.raises(CancelledError if end else InferenceError),
        ):
            next(events)
    assert server.count == (2 if end else 3)


def test_closing_the_client_ends_the_wait(server: Failing) -> None:
    server.failures.extend([busy(WAIT_S)] * 9)
    client = EmotionClient(server.url)
    with after_requests(server, 1, client.close), pytest.raises(CancelledError):
        client._send(REQUEST, start_call("test"))
    assert server.count == 1


def test_a_cancelled_task_ends_its_wait(server: Failing) -> None:
    server.failures.extend([busy(WAIT_S)] * 9)

    async def cancel_task() -> None:
        async with AsyncEmotionClient(server.url) as client:
            task = asyncio.create_task(client._send(REQUEST, start_call("test")))
            loop = asyncio.get_running_loop()
            with after_requests(server, 1, lambda: loop.call_soon_threadsafe(task.cancel)):
                await asyncio.wait([task])
            assert task.cancelled()

    asyncio.run(cancel_task())
    assert server.count == 1


def test_a_server_that_loads_is_an_error_at_once_unless_it_was_ready_before() -> None:
    client = EmotionClient("127.0.0.1:1", timeout_s=1)
    answers = deque([False, True, False, True])
    client._triton = type(
        "", (), {"is_model_ready": lambda *_, **__: answers.popleft(), "close": lambda _: None}
    )()
    with client:
        with pytest.raises(ServerNotReadyError):
            client.check_ready()
        client.check_ready()
        client.check_ready()
    assert not answers
