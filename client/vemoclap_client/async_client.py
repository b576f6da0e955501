"""EmotionClient's twin for asyncio."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import cached_property
from pathlib import Path
from threading import Event as Flag
from typing import Any, Self

import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio

from vemoclap_client._clock import milliseconds_since
from vemoclap_client._in_flight import iterate_in_thread
from vemoclap_client._retrying import AGAIN, Attempts, send_again_async
from vemoclap_client._stream_call import stream_responses_async
from vemoclap_client.assembling import make_timeline
from vemoclap_client.channels import connection
from vemoclap_client.client import READY_TIMEOUT_S, BaseClient, EmotionClient
from vemoclap_client.contract import ENTRY, STREAM
from vemoclap_client.media.container import check_file
from vemoclap_client.media.video import Decoded
from vemoclap_client.requests import build_stream_request, parse_result
from vemoclap_client.result import EmotionResult
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


class AsyncEmotionClient(BaseClient):
    """EmotionClient for asyncio. Decoding runs in a thread, so that the loop stays free."""

    @cached_property
    def _triton(self) -> Any:
        return triton_aio.InferenceServerClient(**connection(self.url, self.credentials))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection, if there is one."""
        if "_triton" in vars(self):
            await self._triton.close()

    async def check_ready(self, model: str = ENTRY) -> None:
        """See EmotionClient.check_ready."""

        async def ask(left_s: float) -> None:
            timeout_s = min(READY_TIMEOUT_S, left_s)
            with server_errors(self.url, timeout_s, connected=self._has_answered):
                ready = await self._triton.is_model_ready(model, client_timeout=timeout_s)
            self._check_ready(ready, model)

        if self._has_answered:
            await send_again_async(ask, self.timeout_s)
        else:
            await ask(self.timeout_s)

    async def classify(
        self, video: str | Path, *, attention: bool = False, audio_track: int | None = None
    ) -> EmotionResult:
        """See EmotionClient.classify."""
        check_file(Path(video))
        with start_call("classify") as call:
            await self.check_ready(self.frame_format.model)
            with call.start("decode"):
                decoded = await self._decode(video, audio_track)
            request, decoded = self._request(decoded.clip, attention), decoded.without_arrays()
            started = time.perf_counter()
            response = await self._send(request, call)
            return parse_result(str(video), decoded, response, milliseconds_since(started))

    async def stream(self, video: str | Path, *, caption: bool = False) -> AsyncGenerator[Event]:
        """See EmotionClient.stream; `aclose` it. To cancel, cancel the task that reads it."""
        check_file(Path(video))
        with start_call("stream") as call:
            await self.check_ready(STREAM)
            with call.start("decode"):
                decoded = await self._decode(video)
            yield decoded
            request = build_stream_request(decoded.clip, caption, self.frame_format)
            decoded = decoded.without_arrays()
            with call.send(STREAM) as sent:
                parser = StreamParser(str(video), decoded, sent)
                async for left_s in (attempts := Attempts(self.timeout_s)):
                    try:
                        responses = stream_responses_async(
                            self.url, request, left_s, sent, self.credentials
                        )
                        async with aclosing(responses):
                            with self._errors():
                                async for response in responses:
                                    if event := parser.parse(response):
                                        yield event
                    except AGAIN as error:
                        attempts.failed(error)
                    else:
                        return

    async def timeline(
        self,
        video: str | Path,
        window_s: float = DEFAULT_WINDOW_S,
        hop_s: float = DEFAULT_HOP_S,
        *,
        on_window: OnWindow | None = None,
        audio_track: int | None = None,
    ) -> Timeline:
        """See EmotionClient.timeline."""
        gathered: list[ClassifiedWindow] = []
        windows = self._classify_windows(video, window_s, hop_s, audio_track)
        async with aclosing(windows) as classified:
            async for each in classified:
                gathered.append(each)
                if on_window:
                    on_window(each.window, each.decoded.count)
        return make_timeline(str(video), window_s, hop_s, gathered)

    async def iterate_timeline(
        self,
        video: str | Path,
        window_s: float = DEFAULT_WINDOW_S,
        hop_s: float = DEFAULT_HOP_S,
    ) -> AsyncGenerator[Window]:
        """See EmotionClient.iterate_timeline; `aclose` it."""
        async with aclosing(self._classify_windows(video, window_s, hop_s)) as classified:
            async for each in classified:
                yield each.window

    async def _classify_windows(
        self, video: str | Path, window_s: float, hop_s: float, audio_track: int | None = None
    ) -> AsyncGenerator[ClassifiedWindow]:
        self._check_timeline(video, window_s, hop_s)
        await self.check_ready()
        client = EmotionClient(
            self.url,
            timeout_s=self.timeout_s,
            windows_at_once=self.windows_at_once,
            decoder=self.decoder,
            credentials=self.credentials,
        )
        windows = client.classify_windows(video, window_s, hop_s, audio_track)
        async with aclosing(iterate_in_thread(windows, client.close)) as classified:
            async for each in classified:
                yield each

    async def _decode(self, video: str | Path, audio_track: int | None = None) -> Decoded:
        cancel = Flag()
        try:
            return await asyncio.to_thread(self.decoder.decode, video, audio_track, cancel)
        finally:
            # Where the task was cancelled, the thread still waits for the decoder.
            cancel.set()

    async def _send(self, request: dict[str, Any], call: Span) -> triton.InferResult:
        with call.send(request["model_name"]) as sent:

            async def attempt(left_s: float) -> triton.InferResult:
                with self._errors():
                    return await self._triton.infer(
                        **request, **sent.options, client_timeout=left_s
                    )

            return await send_again_async(attempt, self.timeout_s)
