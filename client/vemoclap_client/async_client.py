"""EmotionClient's twin for asyncio."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Self

import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio

from vemoclap_client._clock import milliseconds_since
from vemoclap_client._in_flight import IN_FLIGHT_MAX, answers_in_order_async
from vemoclap_client._pending import read_window
from vemoclap_client.client import DEFAULT_TIMEOUT_S, BaseClient
from vemoclap_client.contract import ENSEMBLE, STREAM
from vemoclap_client.media.container import check_file
from vemoclap_client.media.video import DecodedClip, decode
from vemoclap_client.media.windows import DecodedWindow, decode_windows
from vemoclap_client.requests import build_stream_request, parse_result
from vemoclap_client.result import EmotionResult
from vemoclap_client.stream import (
    Event,
    StreamReader,
    decode_timed,
    stream_answers_async,
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


class AsyncEmotionClient(BaseClient):
    """EmotionClient for asyncio. Decoding runs in a thread, so that the loop stays free."""

    def __init__(
        self,
        url: str | None = None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        windows_at_once: int = IN_FLIGHT_MAX,
    ) -> None:
        """See the base class; nothing is sent yet. Needs a running event loop."""
        super().__init__(url, timeout_s=timeout_s, windows_at_once=windows_at_once)
        self._triton = triton_aio.InferenceServerClient(self.url)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection."""
        await self._triton.close()

    async def check_ready(self, model: str = ENSEMBLE) -> None:
        """See EmotionClient.check_ready."""
        with self._errors(connected=False):
            ready = await self._triton.is_model_ready(model, client_timeout=self.timeout_s)
        self._check_ready(ready, model)

    async def classify(self, video: str | Path, *, attention: bool = False) -> EmotionResult:
        """See EmotionClient.classify."""
        check_file(Path(video))
        await self.check_ready()
        started = time.perf_counter()
        clip = await asyncio.to_thread(decode, video)
        decode_ms = milliseconds_since(started)
        return parse_result(str(video), clip, decode_ms, *await self._send(clip, attention))

    async def stream(self, video: str | Path, *, caption: bool = False) -> AsyncGenerator[Event]:
        """See EmotionClient.stream; `aclose` it. To cancel, cancel the task that reads it."""
        check_file(Path(video))
        await self.check_ready(STREAM)
        decoded = await asyncio.to_thread(decode_timed, video)
        yield decoded
        reader = StreamReader(str(video), decoded)
        request = build_stream_request(decoded.clip, caption)
        async with aclosing(stream_answers_async(self.url, request, self.timeout_s)) as answers:
            with self._errors():
                async for answer in answers:
                    if event := reader.read(answer):
                        yield event

    async def timeline(
        self,
        video: str | Path,
        window_s: float = DEFAULT_WINDOW_S,
        hop_s: float = DEFAULT_HOP_S,
        *,
        on_window: OnWindow | None = None,
    ) -> Timeline:
        """See EmotionClient.timeline."""
        built = TimelineBuilder(str(video), window_s, hop_s, on_window)
        async with aclosing(self._answers(video, window_s, hop_s)) as answers:
            async for answered in answers:
                built.add(answered)
        return built.build()

    async def iterate_timeline(
        self,
        video: str | Path,
        window_s: float = DEFAULT_WINDOW_S,
        hop_s: float = DEFAULT_HOP_S,
    ) -> AsyncGenerator[Window]:
        """See EmotionClient.iterate_timeline; `aclose` it."""
        async with aclosing(self._answers(video, window_s, hop_s)) as answers:
            async for answered in answers:
                yield answered.window

    async def _answers(
        self, video: str | Path, window_s: float, hop_s: float
    ) -> AsyncGenerator[Answered]:
        self._check_timeline(video, window_s, hop_s)
        await self.check_ready()
        stretches = decode_windows(video, window_s, hop_s)
        async with aclosing(
            answers_in_order_async(stretches, self._classify, self.windows_at_once)
        ) as answers:
            async for answered in answers:
                yield answered

    async def _classify(self, stretch: DecodedWindow) -> Answered:
        answer, _ = await self._send(stretch.clip)
        return read_window(stretch, answer)

    async def _send(
        self, clip: DecodedClip, attention: bool = False
    ) -> tuple[triton.InferResult, float]:
        started = time.perf_counter()
        request = self._request(clip, attention)
        with self._errors():
            answer = await self._triton.infer(**request, client_timeout=self.timeout_s)
        return answer, milliseconds_since(started)
