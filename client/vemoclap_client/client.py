"""The blocking client of the served ensemble; async_client.py has its twin for asyncio.

Both build requests and read answers in one base class; only the sending is written twice.
"""

import os
import threading
import time
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from vemoclap_client._clock import milliseconds_since
from vemoclap_client._in_flight import IN_FLIGHT_MAX, answers_in_order
from vemoclap_client._pending import PendingWindow, without_arrays
from vemoclap_client.contract import ATTENTION, ENSEMBLE, STREAM
from vemoclap_client.errors import ServerNotReadyError, ServerUnavailableError
from vemoclap_client.media.container import check_file
from vemoclap_client.media.video import DecodedClip, decode
from vemoclap_client.media.windows import DecodedWindow, check_lengths, decode_windows
from vemoclap_client.requests import (
    RESULT_OUTPUTS,
    build_request,
    build_stream_request,
    parse_result,
    send,
    server_error,
    server_errors,
)
from vemoclap_client.result import EmotionResult
from vemoclap_client.stream import (
    Decoded,
    Event,
    StreamReader,
    decode_timed,
    interruptible,
    stream_answers,
)
from vemoclap_client.timeline import (
    DEFAULT_HOP_S,
    DEFAULT_WINDOW_S,
    Answered,
    OnWindow,
    Timeline,
    TimelineBuilder,
    Window,
)

DEFAULT_URL = "127.0.0.1:8001"
DEFAULT_TIMEOUT_S = 600.0


def default_url() -> str:
    """$VEMOCLAP_URL, else 127.0.0.1:8001."""
    return os.environ.get("VEMOCLAP_URL") or DEFAULT_URL


class BaseClient:
    """What both clients share: requests, answers, errors."""

    def __init__(
        self,
        url: str | None = None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        windows_at_once: int = IN_FLIGHT_MAX,
    ) -> None:
        """Prepares a client; nothing is sent yet.

        Args:
            url: host:port of the server's gRPC endpoint; default $VEMOCLAP_URL or 127.0.0.1:8001.
            timeout_s: longest wait for an answer, in seconds.
            windows_at_once: of a timeline, sent to the server side by side; at least 1.

        Raises:
            ServerUnavailableError: the address is not of the form host:port.
        """
        self.url = url or default_url()
        if "://" in self.url:
            raise ServerUnavailableError(
                f"{self.url!r} is not an address that gRPC can use: give host:port alone."
            )
        self.timeout_s = timeout_s
        self.windows_at_once = windows_at_once

    def _request(self, clip: DecodedClip, attention: bool) -> dict[str, Any]:
        return build_request(clip, (*RESULT_OUTPUTS, ATTENTION) if attention else RESULT_OUTPUTS)

    def _errors(self, connected: bool = True) -> AbstractContextManager[None]:
        return server_errors(self.url, self.timeout_s, connected)

    def _check_timeline(self, video: str | Path, window_s: float, hop_s: float) -> None:
        check_lengths(window_s, hop_s)
        check_file(Path(video))

    def _check_ready(self, ready: bool, model: str) -> None:
        if not ready:
            raise ServerNotReadyError(
                f"the server at {self.url} answers, but {model} is not ready: it is still "
                "loading, or a model failed to load. Wait, or look at the server's messages."
            )


class EmotionClient(BaseClient):
    """Classifies videos, one call at a time. Use it as a context manager, or call `close`."""

    def __init__(
        self,
        url: str | None = None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        windows_at_once: int = IN_FLIGHT_MAX,
    ) -> None:
        """See the base class; nothing is sent yet."""
        super().__init__(url, timeout_s=timeout_s, windows_at_once=windows_at_once)
        self._triton = triton.InferenceServerClient(self.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._triton.close()

    def check_ready(self, model: str = ENSEMBLE) -> None:
        """Returns if the server can classify; `model` is what will be asked.

        Raises:
            ServerUnavailableError: nothing answers.
            ServerNotReadyError: it is still loading, or a model is missing.
        """
        with self._errors(connected=False):
            ready = self._triton.is_model_ready(model, client_timeout=self.timeout_s)
        self._check_ready(ready, model)

    def classify(self, video: str | Path, *, attention: bool = False) -> EmotionResult:
        """Decodes a video file here and has the server name its emotion.

        Args:
            video: the file.
            attention: also ask where the head looked, see EmotionResult.attention.

        Raises:
            VideoError: the file cannot be classified; its kind says why.
            ServerError: the server could not answer; its kind says why.
        """
        check_file(Path(video))
        self.check_ready()
        started = time.perf_counter()
        clip = decode(video)
        decode_ms = milliseconds_since(started)
        return parse_result(str(video), clip, decode_ms, *self._send(clip, attention))

    def stream(
        self, video: str | Path, *, caption: bool = False, cancel: threading.Event | None = None
    ) -> Generator[Event]:
        """As `classify`, but tells what is known as soon as it is.

        Decoded comes first, then one Evidence per modality as each is found, and last the
        EmotionResult. Exhaust it or `close` it: closing cancels the request.

        Args:
            video: the file.
            caption: ask for a caption of one frame, where the server's profile has a captioner.
            cancel: when set, the request is cancelled. A video that is then being decoded is
                decoded to its end in the background, and forgotten.

        Raises:
            VideoError: the file cannot be classified; its kind says why.
            ServerError: the server could not answer; its kind says why.
            concurrent.futures.CancelledError: `cancel` was set.
        """
        check_file(Path(video))
        return self._events(video, caption, cancel)

    def _events(
        self, video: str | Path, caption: bool, cancel: threading.Event | None
    ) -> Generator[Event]:
        decoded = interruptible(lambda: self._decode(video), cancel)
        yield decoded
        reader = StreamReader(str(video), decoded)
        request = build_stream_request(decoded.clip, caption)
        responses = stream_answers(self.url, request, self.timeout_s, cancel)
        with closing(responses), self._errors():
            yield from filter(None, map(reader.read, responses))

    def _decode(self, video: str | Path) -> Decoded:
        self.check_ready(STREAM)
        return decode_timed(video)

    def timeline(
        self,
        video: str | Path,
        window_s: float = DEFAULT_WINDOW_S,
        hop_s: float = DEFAULT_HOP_S,
        *,
        on_window: OnWindow | None = None,
    ) -> Timeline:
        """Classifies overlapping windows of a video; the video is decoded once.

        Args:
            window_s: length of a window, 1 to 600 seconds.
            hop_s: from one window's start to the next one's; at most window_s, at least a
                quarter of a second and a 16th of window_s.
            on_window: is called with each window as it comes, and how many there will be.

        Raises:
            VideoError: the file cannot be classified; its kind says why.
            ServerError: the server could not answer; its kind says why.
            ValueError: a length is out of range.
        """
        built = TimelineBuilder(str(video), window_s, hop_s, on_window)
        with closing(self._answers(video, window_s, hop_s)) as answers:
            for answered in answers:
                built.add(answered)
        return built.build()

    def iterate_timeline(
        self,
        video: str | Path,
        window_s: float = DEFAULT_WINDOW_S,
        hop_s: float = DEFAULT_HOP_S,
    ) -> Generator[Window]:
        """The windows of `timeline`, one after the other as they come.

        Exhaust it or `close` it: the file stays open, and windows at work, until then. An
        error, as of `timeline`, comes after the windows before it.
        """
        return _windows(self._answers(video, window_s, hop_s))

    def _answers(self, video: str | Path, window_s: float, hop_s: float) -> Generator[Answered]:
        self._check_timeline(video, window_s, hop_s)
        self.check_ready()
        stretches = decode_windows(video, window_s, hop_s)
        return answers_in_order(stretches, self._submit, self.windows_at_once)

    def _submit(self, stretch: DecodedWindow) -> PendingWindow:
        answer: Future[triton.InferResult] = Future()

        def finish(result: triton.InferResult, error: InferenceServerException | None) -> None:
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)

        request = build_request(stretch.clip)
        call = self._triton.async_infer(callback=finish, **request, client_timeout=self.timeout_s)
        to_error = partial(server_error, url=self.url, timeout_s=self.timeout_s, connected=True)
        return PendingWindow(without_arrays(stretch), answer, call.cancel, to_error)

    def _send(self, clip: DecodedClip, attention: bool) -> tuple[triton.InferResult, float]:
        started = time.perf_counter()
        answer = send(self._triton, self._request(clip, attention), self.url, self.timeout_s)
        return answer, milliseconds_since(started)


def _windows(answers: Generator[Answered]) -> Generator[Window]:
    with closing(answers):
        for answered in answers:
            yield answered.window
