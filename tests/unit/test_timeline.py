"""Windows at work on a made-up server: order, bounds, errors, interruptions; the JSON."""

import asyncio
import socket
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import aclosing, closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from tests.launching import wait_until
from tests.timelines import EVEN, make_timeline, make_window, probabilities
from vemoclap_client import AsyncEmotionClient, EmotionClient, contract
from vemoclap_client._gathering import EncodedParts, GatheredWindow
from vemoclap_client._in_flight import IN_FLIGHT_MAX, classify_in_order, iterate_in_thread
from vemoclap_client._rows import FrameRows
from vemoclap_client.assembling import make_timeline as gather
from vemoclap_client.cli.main import main
from vemoclap_client.cli.render import render_summary, render_window
from vemoclap_client.errors import (
    OutputError,
    RequestTimeoutError,
    ServerError,
    ServerLostError,
    ServerUnavailableError,
    UndecodableVideoError,
    VideoNotFoundError,
)
from vemoclap_client.media._sound_parts import WindowSound
from vemoclap_client.media.parts import DecodedWindow, FrameBlock, Part
from vemoclap_client.timeline import ClassifiedWindow, Timeline
from vemoclap_client.tracing import start_call

NOBODY = "127.0.0.1:1"
"""Nothing listens there."""


class Source:
    """A clip's parts, as media.parts.decode_parts gives them: a block of frames per window."""

    def __init__(self, count: int, fails: bool = False) -> None:
        self.decoded = 0
        self.closed = False
        self.decoding = threading.Event()
        self.go = threading.Event()
        self.go.set()
        self._count = count
        self._fails = fails

    def parts(self) -> Generator[Part | DecodedWindow]:
        try:
            for number in range(self._count):
                self.decoding.set()
                self.go.wait()
                self.decoded += 1
                yield make_block(number)
                yield make_decoded(number, self._count)
            if self._fails:
                raise UndecodableVideoError("the rest is damaged")
        finally:
            self.closed = True


def make_block(number: int) -> FrameBlock:
    return FrameBlock(number, np.full((16, 2, 2, 3), number, np.uint8))


def make_decoded(number: int, count: int) -> DecodedWindow:
    reason = "the file has no sound track"
    return DecodedWindow(
        number=number,
        count=count,
        start_s=number,
        end_s=number + 2,
        clip_duration_s=count + 1,
        frames=tuple(range(16 * number, 16 * number + 16)),
        frame_times_s=tuple(float(number) for _ in range(16)),
        sound=WindowSound((), {"audio": reason, "speech": reason}, ()),
        warnings=(f"{number}",),
    )


def fused(window: GatheredWindow) -> ClassifiedWindow:
    decoded = window.decoded
    return ClassifiedWindow(decoded, make_window(decoded.start_s, decoded.end_s, EVEN))


ROWS = FrameRows(np.zeros((16, 1), np.float32), {}, [()] * 16)


class Server:
    """Encodes blocks in threads, the later ones faster; counts what it has at work."""

    def __init__(
        self, source: Source, fails_at: int = -1, error: type[BaseException] = ServerLostError
    ) -> None:
        self.source = source
        self.fails_at = fails_at
        self.error = error
        self.at_work: set[int] = set()
        self.most_at_work = 0
        self.cancelled: set[int] = set()
        self.held = threading.Event()
        self.held.set()

    def send(self, request: dict[str, Any], parse: object) -> "Future[Any]":
        number = self.source.decoded - 1
        future: Future[Any] = Future()
        self.at_work.add(number)
        self.most_at_work = max(self.most_at_work, len(self.at_work))
        future.add_done_callback(lambda done: self._end(number, done))
        threading.Thread(target=self._answer, args=(number, future), daemon=True).start()
        return future

    def _end(self, number: int, done: "Future[Any]") -> None:
        self.at_work.discard(number)
        if done.cancelled():
            self.cancelled.add(number)

    def _answer(self, number: int, future: "Future[Any]") -> None:
        time.sleep(0.01 if number % 2 else 0.02)
        self.held.wait()
        if not future.set_running_or_notify_cancel():
            return
        if number == self.fails_at:
            future.set_exception(self.error())
        else:
            future.set_result(ROWS)


def blocking(server: Server) -> Generator[ClassifiedWindow]:
    return classify_in_order(server.source.parts(), server.send, fused)


def with_asyncio(server: Server) -> Iterator[ClassifiedWindow]:
    """The same through a thread, in a loop of its own."""
    answers = iterate_in_thread(blocking(server), lambda: None)
    with asyncio.Runner() as runner:
        while True:
            try:
                yield runner.run(anext(answers))  # type: ignore[arg-type]
            except StopAsyncIteration:
                return


both = pytest.mark.parametrize("classify", [blocking, with_asyncio])
Classify = Callable[[Server], Iterator[ClassifiedWindow]]


def starts(windows: Iterator[ClassifiedWindow]) -> list[float]:
    return [each.window.start_s for each in windows]


def wait_for_closing(source: Source) -> None:
    """Under asyncio another thread closes the clip."""
    wait_until(lambda: source.closed)


@both
@pytest.mark.parametrize("count", [1, 4, 5, 23])
def test_windows_come_in_order_and_few_parts_are_at_work(classify: Classify, count: int) -> None:
    server = Server(Source(count))
    assert starts(classify(server)) == list(range(count))
    assert 1 <= server.most_at_work <= min(count, IN_FLIGHT_MAX)
    wait_for_closing(server.source)


def test_as_many_parts_are_at_work_as_are_allowed() -> None:
    server = Server(Source(9))
    server.held.clear()

    def answer() -> None:
        try:
            wait_until(lambda: server.most_at_work >= IN_FLIGHT_MAX)
            time.sleep(0.2)  # One too many would be sent meanwhile.
        finally:
            server.held.set()

    threading.Thread(target=answer).start()
    assert starts(blocking(server)) == list(range(9))
    assert server.most_at_work == IN_FLIGHT_MAX


@both
def test_an_error_comes_after_the_windows_before_it(classify: Classify) -> None:
    server = Server(Source(20), fails_at=6)
    seen: list[float] = []
    with pytest.raises(ServerLostError):
        for each in classify(server):
            seen.append(each.window.start_s)
    assert seen == [0, 1, 2, 3, 4, 5]
    wait_for_closing(server.source)
    wait_until(lambda: not server.at_work)


@both
def test_an_undecodable_rest_comes_after_the_windows_before_it(classify: Classify) -> None:
    server = Server(Source(6, fails=True))
    seen: list[float] = []
    with pytest.raises(UndecodableVideoError):
        for each in classify(server):
            seen.append(each.window.start_s)
    assert seen == [0, 1, 2, 3, 4, 5]
    assert server.cancelled == set()


def test_ctrl_c_cancels_what_is_at_work() -> None:
    server = Server(Source(20))

    def fuse(window: GatheredWindow) -> ClassifiedWindow:
        server.held.clear()
        if window.decoded.number == 2:
            raise KeyboardInterrupt
        server.held.set()
        return fused(window)

    with pytest.raises(KeyboardInterrupt):
        starts(classify_in_order(server.source.parts(), server.send, fuse))
    wait_until(lambda: not server.at_work)
    assert server.source.closed
    server.held.set()


def test_closing_early_cancels_what_is_at_work() -> None:
    server = Server(Source(20))
    with closing(blocking(server)) as answers:
        next(answers)
        server.held.clear()
    wait_until(lambda: not server.at_work)
    assert server.source.closed
    server.held.set()


def test_closing_the_asyncio_twin_early_interrupts_its_thread() -> None:
    server = Server(Source(20))
    interrupted = threading.Event()

    async def first_only() -> None:
        async with aclosing(iterate_in_thread(blocking(server), interrupted.set)) as answers:
            await anext(answers)

    asyncio.run(first_only())
    assert interrupted.is_set()
    wait_for_closing(server.source)
    wait_until(lambda: not server.at_work)


def test_a_cancelled_task_never_closes_the_clip_under_the_decoder() -> None:
    source = Source(20)
    source.go.clear()

    async def cancelled_while_decoding() -> None:
        answers = iterate_in_thread(blocking(Server(source)), lambda: None)
        task = asyncio.ensure_future(anext(answers))
        await asyncio.to_thread(source.decoding.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not source.closed
        source.go.set()

    asyncio.run(cancelled_while_decoding())
    wait_for_closing(source)


def test_a_timeline_has_the_clip_s_length_and_the_last_window_s_warnings() -> None:
    windows = [
        ClassifiedWindow(make_decoded(number, 3), make_window(number, number + 2, EVEN))
        for number in range(3)
    ]
    assert gather("clip.mp4", 2, 1, windows) == Timeline(
        video="clip.mp4",
        duration_s=4,
        window_s=2.0,
        hop_s=1.0,
        windows=tuple(each.window for each in windows),
        warnings=("2",),
    )


class Connection:
    """In place of tritonclient's connection: holds requests until they are answered."""

    def __init__(self) -> None:
        self.sent: list[Callable[..., None]] = []
        self.cancelled = 0

    def async_infer(self, callback: Callable[..., None], **request: Any) -> "Connection":
        self.sent.append(callback)
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    def close(self) -> None:
        pass


def test_a_cancelled_request_is_cancelled_on_the_server_and_its_error_is_not_lost() -> None:
    # So short a time is not enough to send what was lost again.
    with EmotionClient(NOBODY, timeout_s=0.1) as client:
        client._triton = connection = Connection()
        request = {"model_name": contract.ENTRY}
        futures = []
        for count in range(3):
            futures.append(client._submit(start_call("timeline"), request, lambda _: None))
            wait_until(lambda count=count: len(connection.sent) > count)  # type: ignore[misc]
        cancelled, failed, garbled = futures
        cancelled.cancel()
        wait_until(lambda: connection.cancelled == 1)
        error = InferenceServerException("closed", "StatusCode.CANCELLED")
        connection.sent[0](result=None, error=error)
        connection.sent[1](result=None, error=error)
        broken = InferenceServerException("broken", "StatusCode.INTERNAL")
        connection.sent[2](result=None, error=broken)
        assert isinstance(failed.exception(30), ServerLostError)
        assert isinstance(garbled.exception(30), ServerError)


def test_a_part_that_cannot_be_sent_fails() -> None:
    with EmotionClient(NOBODY, timeout_s=1) as client:
        parts = EncodedParts(partial(client._submit, start_call("timeline")))
        failure = parts.submit(make_block(0)).exception(timeout=30)
    assert isinstance(failure, ServerLostError)


def test_frames_are_dropped_once_they_are_sent() -> None:
    with EmotionClient(NOBODY) as client:
        client._triton = connection = Connection()
        block = make_block(0)
        images = weakref.ref(block.images)
        parts = EncodedParts(partial(client._submit, start_call("timeline")))
        parts.submit(block)
        wait_until(lambda: len(connection.sent) == 1)
        del block
        assert images() is None


@pytest.mark.parametrize("is_asyncio", [False, True])
def test_a_server_that_is_silent_is_not_waited_for(
    is_asyncio: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check_ready(url: str) -> None:
        async with AsyncEmotionClient(url) as client:
            await client.check_ready()

    for module in ("client", "async_client"):
        monkeypatch.setattr(f"vemoclap_client.{module}.READY_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises((RequestTimeoutError, ServerUnavailableError)):
            if is_asyncio:
                asyncio.run(check_ready(url))
            else:
                EmotionClient(url).check_ready()


def test_valence_and_arousal_are_expected_values() -> None:
    half = make_window(0, 2, {**dict.fromkeys(contract.EMOTIONS, 0.0), "joy": 0.5, "fear": 0.5})
    assert half.valence == pytest.approx((0.76 - 0.64) / 2)
    assert half.arousal == pytest.approx((0.48 + 0.60) / 2)
    assert make_window(0, 2, EVEN).valence == pytest.approx(-1.22 / 6, abs=1e-5)
    assert make_window(0, 2, EVEN).arousal == pytest.approx(2.42 / 6, abs=1e-5)


def test_a_window_is_one_line() -> None:
    line = render_window(make_window(59.96, 3600, probabilities("joy", 0.5)))
    assert line.split()[:3] == ["1:00.0", "-", "60:00.0"]
    assert "joy" in line
    assert "0.50" in line
    assert "nothing speaks" in render_window(make_window(0, 2, EVEN))
    assert "zero-shot" in render_summary(make_timeline([make_window(0, 2, EVEN)], 1))


@pytest.mark.parametrize(
    "lengths",
    [["--window-s", "0"], ["--window-s", "x"], ["--hop-s", "9.1"], ["--hop-s", "nan"]],
)
def test_impossible_lengths_are_wrong_usage(lengths: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["timeline", "any.mp4", *lengths, "--url", NOBODY])
    assert caught.value.code == 2


def test_what_is_wrong_is_said_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing, there = str(tmp_path / "missing.mp4"), tmp_path / "there.mp4"
    there.write_text("something")
    file = str(tmp_path / "x.json")
    asked = ["--url", NOBODY]
    taken = ["--csv", str(tmp_path)]
    assert main(["timeline", missing, *asked, *taken]) == OutputError.exit_code
    same = ["--json", file, "--csv", file]
    assert main(["timeline", missing, *asked, *same]) == OutputError.exit_code
    assert main(["timeline", missing, *asked]) == VideoNotFoundError.exit_code
    assert main(["timeline", str(there), *asked]) == ServerUnavailableError.exit_code
    assert capsys.readouterr().out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["there.mp4"]


def test_iterating_says_what_is_wrong_at_once(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_text("something")
    with EmotionClient(NOBODY) as client:
        with pytest.raises(ValueError, match="window"):
            client.iterate_timeline(tmp_path / "clip.mp4", 0, 0)
        with pytest.raises(ServerError):
            client.iterate_timeline(tmp_path / "clip.mp4")
