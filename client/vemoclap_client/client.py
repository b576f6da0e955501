"""The blocking client of the served ensemble; async_client.py has its twin for asyncio.

What both share is in one base class; only the calls are written twice.
"""

import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing
from functools import cached_property, partial
from pathlib import Path
from threading import Event as Flag
from typing import Any, Self, TypeVar

import tritonclient.grpc as triton

from vemoclap_client._clock import milliseconds_since
from vemoclap_client._in_flight import IN_FLIGHT_MAX, classify_in_order, windows_of
from vemoclap_client._retrying import Attempts, send_again
from vemoclap_client._stream_call import stream_responses
from vemoclap_client._waiting import run_at_most, run_cancellable, submit
from vemoclap_client.assembling import make_timeline
from vemoclap_client.channels import check_url, connection, default_url
from vemoclap_client.contract import ATTENTION, DEFAULT_TIMEOUT_S, ENTRY, STREAM
from vemoclap_client.credentials import Credentials
from vemoclap_client.errors import ServerNotReadyError
from vemoclap_client.media.container import check_file
from vemoclap_client.media.decoder import Decoder, DecoderHere
from vemoclap_client.media.video import DecodedClip
from vemoclap_client.media.windows import check_lengths
from vemoclap_client.requests import (
    RESULT_OUTPUTS,
    FrameFormat,
    Response,
    build_request,
    build_stream_request,
    parse_result,
)
from vemoclap_client.result import EmotionResult
from vemoclap_client.sending import send
from vemoclap_client.server_errors import server_errors
from vemoclap_client.stream import Event, StreamParser
from vemoclap_client.timeline import (
    DEFAULT_HOP_S,
    DEFAULT_WINDOW_S,
    ClassifiedWindow,
    OnWindow,
    Timeline,
    Window,
)
from vemoclap_client.tracing import Span, start_call

Request = dict[str, Any]
Value = TypeVar("Value")

CLOSE_TIMEOUT_S = 5.0
"""Longest wait for gRPC to end its calls."""
READY_TIMEOUT_S = 10.0
"""Longest wait for whether a model is ready, which a server that works says at once."""


class BaseClient:
    """What both clients share: settings, checks, requests, errors."""

    def __init__(
        self,
        url: str | None = None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        windows_at_once: int = IN_FLIGHT_MAX,
        frame_format: FrameFormat = FrameFormat.RAW,
        decoder: Decoder | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        """Prepares a client; nothing is sent yet.

        Args:
            url: host:port of the server's gRPC endpoint, or several with commas between them, which
                are asked in turn (channels.py); default $VEMOCLAP_URL or 127.0.0.1:8001.
            timeout_s: longest wait for a response, in seconds. Meanwhile a request that the server
                refuses as busy, or that is lost with it, is sent again (docs/serving.md).
            windows_at_once: parts of a timeline that the server is sent side by side; at least 1.
            frame_format: of `classify` and `stream`: JPEG is a tenth of the bytes, for not exactly
                the same result.
            credentials: TLS and a token; default those that the environment names.
            decoder: what decodes; by default this process. See limited.LimitedDecoder.

        Raises:
            ServerUnavailableError: an address is not of the form host:port.
        """
        self.url = url or default_url()
        check_url(self.url)
        self.timeout_s = timeout_s
        self.windows_at_once = windows_at_once
        self.frame_format = frame_format
        self.decoder = decoder or DecoderHere()
        self.credentials = credentials
        self._has_answered = False
        self._closed = Flag()

    def _request(self, clip: DecodedClip, attention: bool) -> Request:
        outputs = (*RESULT_OUTPUTS, ATTENTION) if attention else RESULT_OUTPUTS
        return build_request(clip, outputs, self.frame_format)

    def _errors(self) -> AbstractContextManager[None]:
        return server_errors(self.url, self.timeout_s)

    def _check_timeline(self, video: str | Path, window_s: float, hop_s: float) -> None:
        check_lengths(window_s, hop_s)
        check_file(Path(video))

    def _check_ready(self, ready: bool, model: str) -> None:
        self._has_answered = self._has_answered or ready
        if not ready:
            raise ServerNotReadyError(
                f"the server at {self.url} answers, but {model} is not ready: it is still "
                "loading, or a model failed to load. Wait, or look at the server's messages."
            )


class EmotionClient(BaseClient):
    """Classifies videos, one call at a time. Use it as a context manager, or call `close`."""

    @cached_property
    def _triton(self) -> Any:
        return triton.InferenceServerClient(**connection(self.url, self.credentials))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection, if there is one; ends what is at work with an error."""
        self._closed.set()
        if "_triton" in vars(self):
            # It waits for gRPC's calls, for ever for one that Ctrl-C cut off in gRPC's own code.
            run_at_most(CLOSE_TIMEOUT_S, self._triton.close)

    def check_ready(self, model: str = ENTRY) -> None:
        """Returns if the server can classify; `model` is what will be asked.

        A server that was ready before is waited for: it may be starting again.

        Raises:
            ServerUnavailableError: nothing answers.
            ServerNotReadyError: it is still loading, or a model is missing.
            RequestTimeoutError: it does not say within READY_TIMEOUT_S.
            ServerLostError: it was ready before, and does not come back.
        """

        def ask(left_s: float) -> None:
            timeout_s = min(READY_TIMEOUT_S, left_s)
            with server_errors(self.url, timeout_s, connected=self._has_answered):
                ready = self._triton.is_model_ready(model, client_timeout=timeout_s)
            self._check_ready(ready, model)

        if self._has_answered:
            send_again(ask, self.timeout_s, self._closed)
        else:
            ask(self.timeout_s)

    def classify(
        self, video: str | Path, *, attention: bool = False, audio_track: int | None = None
    ) -> EmotionResult:
        """Decodes a video file here and has the server classify it.

        Args:
            video: the file.
            attention: also return EmotionResult.attention.
            audio_track: which of its sound tracks, from 1; by default the main one.

        Raises:
            VideoError: the file cannot be classified; its kind says why.
            ServerError: the server could not answer; its kind says why.
        """
        check_file(Path(video))
        with start_call("classify") as call:
            self.check_ready(self.frame_format.model)
            with call.start("decode"):
                decoded = self.decoder.decode(video, audio_track, self._closed)
            request, decoded = self._request(decoded.clip, attention), decoded.without_arrays()
            started = time.perf_counter()
            response = self._send(request, call)
            return parse_result(str(video), decoded, response, milliseconds_since(started))

    def stream(
        self, video: str | Path, *, caption: bool = False, cancel: Flag | None = None
    ) -> Generator[Event]:
        """As `classify`, with each step's evidence as soon as the step ends.

        Decoded comes first, then one Evidence per modality as each is found, and last the
        EmotionResult. Exhaust it or `close` it: closing cancels the request.

        Args:
            video: the file.
            caption: ask for a caption of one frame, where the server's profile has a captioner.
            cancel: when set, the request is cancelled, and decoding where `decoder` can be; by
                default, `close` does so.

        Raises:
            VideoError: the file cannot be classified; its kind says why.
            ServerError: the server could not answer; its kind says why.
            concurrent.futures.CancelledError: `cancel` was set.
        """
        check_file(Path(video))
        return self._events(video, caption, cancel or self._closed)

    def _events(self, video: str | Path, caption: bool, cancel: Flag) -> Generator[Event]:
        with start_call("stream") as call:
            run_cancellable(lambda: self.check_ready(STREAM), cancel)
            with call.start("decode"):
                decoded = self.decoder.decode(video, cancel=cancel)
            yield decoded
            request = build_stream_request(decoded.clip, caption, self.frame_format)
            decoded = decoded.without_arrays()
            with call.send(STREAM) as sent:
                parser = StreamParser(str(video), decoded, sent)
                send = partial(stream_responses, self.url, request, cancel=cancel, sent=sent)
                send = partial(send, credentials=self.credentials)
                yield from parser.events(send, Attempts(self.timeout_s, cancel), self._errors)

    def timeline(
        self,
        video: str | Path,
        window_s: float = DEFAULT_WINDOW_S,
        hop_s: float = DEFAULT_HOP_S,
        *,
        on_window: OnWindow | None = None,
        audio_track: int | None = None,
    ) -> Timeline:
        """Classifies overlapping windows of a video; the video is decoded once.

        Args:
            window_s: length of a window, 1 to 600 seconds.
            hop_s: from one window's start to the next one's; at most window_s, at least a
                quarter of a second and a 16th of window_s.
            on_window: is called with each window as it comes, and how many there will be.
            audio_track: as classify's.

        Raises:
            VideoError: the file cannot be classified; its kind says why.
            ServerError: the server could not answer; its kind says why.
            ValueError: a length is out of range.
        """
        gathered: list[ClassifiedWindow] = []
        with closing(self._check_and_classify(video, window_s, hop_s, audio_track)) as classified:
            for each in classified:
                gathered.append(each)
                if on_window:
                    on_window(each.window, each.decoded.count)
        return make_timeline(str(video), window_s, hop_s, gathered)

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
        return windows_of(self._check_and_classify(video, window_s, hop_s))

    def _check_and_classify(
        self, video: str | Path, window_s: float, hop_s: float, audio_track: int | None = None
    ) -> Generator[ClassifiedWindow]:
        self._check_timeline(video, window_s, hop_s)
        self.check_ready()
        return self.classify_windows(video, window_s, hop_s, audio_track)

    def classify_windows(
        self, video: str | Path, window_s: float, hop_s: float, audio_track: int | None = None
    ) -> Generator[ClassifiedWindow]:
        """As iterate_timeline, with what was decoded of each window; checks nothing beforehand."""
        with start_call("timeline") as call:
            yield from classify_in_order(
                self.decoder.decode_parts(video, window_s, hop_s, audio_track, self._closed),
                partial(self._submit, call),
                lambda window: window.parse(self._send(window.request(), call)),
                self.windows_at_once,
            )

    def _submit(
        self, call: Span, request: Request, parse: Callable[[Response], Value]
    ) -> Future[Value]:
        """Sends a request; cancelling the future cancels it."""
        return submit(lambda cancel: parse(self._send(request, call, cancel)))

    def _send(self, request: Request, call: Span, cancel: Flag | None = None) -> triton.InferResult:
        with call.send(request["model_name"]) as sent:
            request = request | sent.options
            return send(
                self._triton, request, self.url, self.timeout_s, cancel=cancel or self._closed
            )
