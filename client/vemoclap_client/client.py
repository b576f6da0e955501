"""Clients of the served ensemble: blocking, and for asyncio.

Both build requests and read answers in one base class; only the sending is written twice.
"""

import asyncio
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from vemoclap_client.container import check_file
from vemoclap_client.contract import (
    ANALYSIS,
    AUDIO,
    CONTRIBUTIONS,
    EMOTIONS,
    ENSEMBLE,
    FRAMES,
    MODALITIES,
    PROBABILITIES,
)
from vemoclap_client.errors import ServerNotReadyError, ServerUnavailableError
from vemoclap_client.results import (
    AudioEvent,
    EmotionResult,
    Head,
    read_faces,
    read_screen_text,
    read_speech,
)
from vemoclap_client.status import server_error
from vemoclap_client.video import Clip, decode

DEFAULT_URL = "127.0.0.1:8001"
DEFAULT_TIMEOUT_S = 600.0
OUTPUTS = (PROBABILITIES, CONTRIBUTIONS, ANALYSIS)


def default_url() -> str:
    """$VEMOCLAP_URL, else 127.0.0.1:8001."""
    return os.environ.get("VEMOCLAP_URL") or DEFAULT_URL


class _Client:
    """What both clients share: requests, answers, errors."""

    def __init__(self, url: str | None = None, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Prepares a client; nothing is sent yet.

        Args:
            url: host:port of the server's gRPC endpoint; default $VEMOCLAP_URL or 127.0.0.1:8001.
            timeout_s: longest wait for an answer, in seconds.

        Raises:
            ServerUnavailableError: the address is not of the form host:port.
        """
        self.url = url or default_url()
        if "://" in self.url:
            raise ServerUnavailableError(
                f"{self.url!r} is not an address that gRPC can use: give host:port alone."
            )
        self.timeout_s = timeout_s

    def _request(self, clip: Clip) -> dict[str, Any]:
        return {
            "model_name": ENSEMBLE,
            "inputs": [_input(FRAMES, clip.frames), _input(AUDIO, clip.audio)],
            "outputs": [triton.InferRequestedOutput(name) for name in OUTPUTS],
            "client_timeout": self.timeout_s,
        }

    def _check_ready(self, ready: bool) -> None:
        if not ready:
            raise ServerNotReadyError(
                f"the server at {self.url} answers, but {ENSEMBLE} is not ready: it is still "
                "loading, or a model failed to load. Wait, or look at the server's messages."
            )


class EmotionClient(_Client):
    """Classifies videos, one call at a time. Use it as a context manager, or call `close`."""

    def __init__(self, url: str | None = None, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """See the base class; nothing is sent yet."""
        super().__init__(url, timeout_s=timeout_s)
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

    def check_ready(self) -> None:
        """Returns if the server can classify.

        Raises:
            ServerUnavailableError: nothing answers.
            ServerNotReadyError: it is still loading, or a model is missing.
        """
        try:
            ready = self._triton.is_model_ready(ENSEMBLE, client_timeout=self.timeout_s)
        except InferenceServerException as error:
            raise server_error(error, self.url, self.timeout_s, connected=False) from error
        self._check_ready(ready)

    def classify(self, video: str | Path) -> EmotionResult:
        """Decodes a video file here and has the server name its emotion.

        Raises:
            VideoError: the file cannot be classified; its kind says why.
            ServerError: the server could not answer; its kind says why.
        """
        check_file(Path(video))
        self.check_ready()
        started = time.perf_counter()
        clip = decode(video)
        decode_ms = _milliseconds_since(started)
        return read_result(str(video), clip, decode_ms, *self._send(clip))

    def _send(self, clip: Clip) -> tuple[triton.InferResult, float]:
        started = time.perf_counter()
        try:
            answer = self._triton.infer(**self._request(clip))
        except InferenceServerException as error:
            raise server_error(error, self.url, self.timeout_s, connected=True) from error
        return answer, _milliseconds_since(started)


class AsyncEmotionClient(_Client):
    """EmotionClient for asyncio. Decoding runs in a thread, so that the loop stays free."""

    def __init__(self, url: str | None = None, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """See the base class; nothing is sent yet. Needs a running event loop."""
        super().__init__(url, timeout_s=timeout_s)
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

    async def check_ready(self) -> None:
        """See EmotionClient.check_ready."""
        try:
            ready = await self._triton.is_model_ready(ENSEMBLE, client_timeout=self.timeout_s)
        except InferenceServerException as error:
            raise server_error(error, self.url, self.timeout_s, connected=False) from error
        self._check_ready(ready)

    async def classify(self, video: str | Path) -> EmotionResult:
        """See EmotionClient.classify."""
        check_file(Path(video))
        await self.check_ready()
        started = time.perf_counter()
        clip = await asyncio.to_thread(decode, video)
        decode_ms = _milliseconds_since(started)
        return read_result(str(video), clip, decode_ms, *await self._send(clip))

    async def _send(self, clip: Clip) -> tuple[triton.InferResult, float]:
        started = time.perf_counter()
        try:
            answer = await self._triton.infer(**self._request(clip))
        except InferenceServerException as error:
            raise server_error(error, self.url, self.timeout_s, connected=True) from error
        return answer, _milliseconds_since(started)


def read_result(
    video: str, clip: Clip, decode_ms: float, answer: triton.InferResult, request_ms: float
) -> EmotionResult:
    """The typed result from the ensemble's answer on a clip."""
    analysis = json.loads(answer.as_numpy(ANALYSIS)[0, 0])
    rows = zip(MODALITIES, answer.as_numpy(CONTRIBUTIONS)[0], strict=True)
    return EmotionResult(
        video=video,
        duration_s=round(clip.duration_s, 3),
        frame_times_s=tuple(round(time_s, 3) for time_s in clip.frame_times_s),
        profile=analysis["profile"],
        head=Head(**analysis["head"]),
        probabilities=_by_emotion(answer.as_numpy(PROBABILITIES)[0]),
        contributions={modality: _by_emotion(row) for modality, row in rows},
        faces=read_faces(analysis["faces"], clip.frame_times_s),
        speech=read_speech(analysis["speech"]),
        screen_text=read_screen_text(analysis["screen_text"], clip.frame_times_s),
        audio_events=tuple(AudioEvent(**event) for event in analysis["audio_events"]),
        absent=_absent(analysis["absent"], clip),
        timings_ms={"decode": decode_ms, "request": request_ms, **analysis["timings_ms"]},
        warnings=clip.warnings,
    )


def _absent(reasons: Mapping[str, str], clip: Clip) -> dict[str, str]:
    """The server's reasons; for missing sound the client's own, which knows the file."""
    if clip.audio_absent_reason is None:
        return dict(reasons)
    return {**reasons, "audio": clip.audio_absent_reason, "speech": clip.audio_absent_reason}


def _input(name: str, array: NDArray[Any]) -> triton.InferInput:
    batch = array[None]
    tensor = triton.InferInput(name, list(batch.shape), np_to_triton_dtype(batch.dtype))
    tensor.set_data_from_numpy(batch)
    return tensor


def _by_emotion(values: NDArray[np.float32]) -> dict[str, float]:
    return {
        emotion: round(float(value), 6) for emotion, value in zip(EMOTIONS, values, strict=True)
    }


def _milliseconds_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
