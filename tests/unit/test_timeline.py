"""Windows at work on a made-up server: order, bounds, errors, interruptions; the JSON."""

import asyncio
import socket
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from tests import schemas
from tests.launching import wait_until
from tests.timelines import EVEN, make_timeline, make_window, probabilities
from vemoclap_client import AsyncEmotionClient, EmotionClient, contract
from vemoclap_client._in_flight import IN_FLIGHT_MAX, classify_in_order, classify_in_order_async
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
from vemoclap_client.media.video import DecodedClip
from vemoclap_client.media.windows import DecodedWindow
from vemoclap_client.timeline import ClassifiedWindow, Timeline
from vemoclap_client.timeline import make_timeline as gather

NOBODY = "127.0.0.1:1"
"""Nothing listens there."""


class Source:
    """A clip's windows, as media.windows.decode_windows gives them, without a clip."""

    def __init__(self, count: int, fails: bool = False, slow_s: float = 0) -> None:
        self.decoded = 0
        self.closed = False
        self.decoding = threading.Event()
        self._count = count
        self._fails = fails
        self._slow_s = slow_s

    def windows(self) -> Generator[DecodedWindow]:
        try:
            for number in range(self._count):
                self.decoding.set()
                time.sleep(self._slow_s)
                self.decoded += 1
                yield make_decoded(number, self._count)
            if self._fails:
                raise UndecodableVideoError("the rest is damaged")
        finally:
            self.closed = True


def make_decoded(number: int, count: int) -> DecodedWindow:
    clip = DecodedClip(
        frames=np.zeros((16, 2, 2, 3), np.uint8),
        frame_times_s=tuple(float(number) for _ in range(16)),
        audio=np.zeros(0, np.float32),
        audio_absent_reason="the file has no sound track",
        duration_s=2.0,
        width=2,
        height=2,
        warnings=(f"{number}",),
    )
    return DecodedWindow(number, count, number, number + 2, count + 1, clip)


def classified(decoded: DecodedWindow) -> ClassifiedWindow:
    return ClassifiedWindow(decoded, make_window(decoded.start_s, decoded.end_s, EVEN))


class Server:
    """Answers when it is waited for; counts what it has at work."""

    def __init__(
        self, source: Source, fails_at: int = -1, error: type[BaseException] = ServerLostError
    ) -> None:
        self.source = source
        self.fails_at = fails_at
        self.error = error
        self.at_work: set[int] = set()
        self.most_at_work = 0
        self.most_ahead = 0
        self.cancelled: set[int] = set()

    def submit(self, decoded: DecodedWindow) -> "Work":
        self.at_work.add(decoded.number)
        self.most_at_work = max(self.most_at_work, len(self.at_work))
        self.most_ahead = max(self.most_ahead, self.source.decoded - min(self.at_work))
        return Work(self, decoded)

    async def classify(self, decoded: DecodedWindow) -> ClassifiedWindow:
        work = self.submit(decoded)
        try:
            # The later ones are faster, and yet come later.
            await asyncio.sleep(0.02 if decoded.number % 2 else 0.04)
        except asyncio.CancelledError:
            work.cancel()
            raise
        return work.result()


class Work(Future[ClassifiedWindow]):
    """Is done when it is waited for."""

    def __init__(self, server: Server, decoded: DecodedWindow) -> None:
        super().__init__()
        self._server = server
        self._decoded = decoded

    def result(self, timeout: float | None = None) -> ClassifiedWindow:
        self._server.at_work.discard(self._decoded.number)
        if self._decoded.number == self._server.fails_at:
            raise self._server.error
        return classified(self._decoded)

    def cancel(self) -> bool:
        self._server.at_work.discard(self._decoded.number)
        self._server.cancelled.add(self._decoded.number)
        return True


def blocking(server: Server) -> Iterator[ClassifiedWindow]:
    return classify_in_order(server.source.windows(), server.submit)


def with_asyncio(server: Server) -> Iterator[ClassifiedWindow]:
    """The same from the asyncio twin, in a loop of its own."""
    answers = classify_in_order_async(server.source.windows(), server.classify)
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
@pytest.mark.parametrize("count", [1, 3, 4, 5, 23])
def test_answers_come_in_order_and_few_windows_are_at_work(classify: Classify, count: int) -> None:
    server = Server(Source(count))
    assert starts(classify(server)) == list(range(count))
    assert server.most_at_work == min(count, IN_FLIGHT_MAX)
    # One more is decoded while those are worked on.
    assert server.most_ahead <= IN_FLIGHT_MAX + 1
    wait_for_closing(server.source)


@both
def test_an_error_comes_after_the_windows_before_it(classify: Classify) -> None:
    server = Server(Source(20), fails_at=6)
    seen: list[float] = []
    with pytest.raises(ServerLostError):
        for each in classify(server):
            seen.append(each.window.start_s)
    assert seen == [0, 1, 2, 3, 4, 5]
    assert not server.at_work
    assert server.source.decoded <= 6 + IN_FLIGHT_MAX + 1
    wait_for_closing(server.source)


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
    server = Server(Source(20), fails_at=2, error=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        starts(blocking(server))
    # Number 2 was being waited for.
    assert server.cancelled == {2, 3, 4, 5}
    assert server.source.closed


def test_closing_early_cancels_what_is_at_work() -> None:
    server = Server(Source(20))
    with closing(classify_in_order(server.source.windows(), server.submit)) as answers:
        next(answers)
    assert server.cancelled == {1, 2, 3}
    assert server.source.closed


def test_closing_the_asyncio_twin_early_cancels_what_is_at_work() -> None:
    server = Server(Source(20))

    async def first_only() -> None:
        windows = server.source.windows()
        async with aclosing(classify_in_order_async(windows, server.classify)) as answers:
            await anext(answers)

    asyncio.run(first_only())
    assert not server.at_work
    wait_for_closing(server.source)


def test_a_cancelled_task_never_closes_the_clip_under_the_decoder() -> None:
    source = Source(20, slow_s=0.3)
    server = Server(source)

    async def cancelled_while_decoding() -> None:
        answers = classify_in_order_async(source.windows(), server.classify)
        task = asyncio.ensure_future(anext(answers))
        await asyncio.to_thread(source.decoding.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not source.closed

    asyncio.run(cancelled_while_decoding())
    wait_for_closing(source)
    assert source.decoded == 1


def test_the_timeline_is_what_its_published_schema_says() -> None:
    shares = (probabilities("joy", 0.9), EVEN)
    timeline = make_timeline([make_window(i, i + 2, share) for i, share in enumerate(shares)], 1)
    schemas.check(timeline.to_dict(), "timeline")
    first, second = timeline.to_dict()["windows"]
    assert (first["emotion"], second["emotion"]) == ("joy", None)


def test_a_timeline_has_the_clip_s_length_and_the_last_window_s_warnings() -> None:
    windows = [classified(make_decoded(number, 3)) for number in range(3)]
    assert gather("clip.mp4", 2, 1, windows) == Timeline(
        video="clip.mp4",
        duration_s=4,
        window_s=2.0,
        hop_s=1.0,
        windows=tuple(window for _, window in windows),
        warnings=("2",),
    )


class Connection:
    """In place of tritonclient's connection: holds requests until they are answered."""

    def __init__(self, *, is_asyncio: bool) -> None:
        self.sent: list[Callable[..., None]] = []
        self.cancelled = 0
        self._is_asyncio = is_asyncio

    def async_infer(self, callback: Callable[..., None], **request: Any) -> "Connection":
        self.sent.append(callback)
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    async def infer(self, **request: Any) -> NoReturn:
        await asyncio.sleep(60)
        raise AssertionError

    def close(self) -> Any:
        return asyncio.sleep(0) if self._is_asyncio else None


def test_a_cancelled_window_is_cancelled_on_the_server_and_its_error_is_not_lost() -> None:
    with EmotionClient(NOBODY) as client:
        client._triton = connection = Connection(is_asyncio=False)
        cancelled, failed, garbled = (client._submit(make_decoded(i, 3)) for i in range(3))
        cancelled.cancel()
        error = InferenceServerException("closed", "StatusCode.CANCELLED")
        connection.sent[0](result=None, error=error)
        connection.sent[1](result=None, error=error)
        broken = InferenceServerException("broken", "StatusCode.INTERNAL")
        connection.sent[2](result=None, error=broken)
    assert connection.cancelled == 1
    assert isinstance(failed.exception(), ServerLostError)
    assert isinstance(garbled.exception(), ServerError)


def test_a_window_that_cannot_be_sent_fails() -> None:
    with EmotionClient(NOBODY) as client:
        failure = client._submit(make_decoded(0, 1)).exception(timeout=30)
    assert isinstance(failure, ServerLostError)


def test_frames_and_sound_are_dropped_once_they_are_sent() -> None:
    async def check() -> None:
        async with AsyncEmotionClient(NOBODY) as client:
            client._triton = Connection(is_asyncio=True)
            decoded = make_decoded(0, 1)
            arrays = weakref.ref(decoded.clip.frames), weakref.ref(decoded.clip.audio)
            task = asyncio.create_task(client._classify_window(decoded))
            del decoded
            await asyncio.sleep(0)
            assert [array() for array in arrays] == [None, None]
            task.cancel()

    asyncio.run(check())


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


@pytest.mark.parametrize("emotion", contract.EMOTIONS)
def test_a_certain_emotion_has_its_own_valence_and_arousal(emotion: str) -> None:
    window = make_window(0, 2, probabilities(emotion, 1.0))
    assert window.valence == contract.VALENCE[emotion][0]
    assert window.arousal == contract.AROUSAL[emotion][0]


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
    [["--window-s", "0"], ["--window-s", "x"], ["--hop-s", "9"], ["--hop-s", "nan"]],
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
