"""One worker process: decodes its clips, asks the servers, makes rows."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
from msgspec.structs import replace

from vemoclap_client._clock import milliseconds_since
from vemoclap_client.batch.listing import SOURCE
from vemoclap_client.batch.rows import (
    NUMBER,
    STOPS,
    Features,
    error_row,
    result_fields,
    result_row,
    without_user,
)
from vemoclap_client.batch.sources import open_source
from vemoclap_client.client import EmotionClient
from vemoclap_client.contract import FEATURES, LENGTHS
from vemoclap_client.credentials import Credentials
from vemoclap_client.errors import (
    AccessDeniedError,
    CertificateError,
    InferenceError,
    RequestRejectedError,
    ServerError,
    ServerOverloadedError,
    WorkerKilledError,
)
from vemoclap_client.fetch import FetchLimits
from vemoclap_client.limited import LimitedDecoder
from vemoclap_client.media.container import check_file
from vemoclap_client.requests import (
    RESULT_OUTPUTS,
    FrameFormat,
    build_request,
    parse_features,
    parse_result,
)
from vemoclap_client.result import EmotionResult
from vemoclap_client.tracing import set_up_traces, start_call

FAILED_MODEL_TRIES = 3
"""Of a clip on which a model fails: another server may do, or this one after a restart."""

WORKERS_KILLED_MAX = 3
"""Processes that may end while they work on a clip before it is given up."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 5.0
"""Between two tries of a clip; each pause is twice the one before."""


@dataclass(frozen=True)
class Settings:
    """How clips are classified.

    Attributes:
        url: of the servers, as EmotionClient's.
        patience_s: how long to try again while no server answers. The client itself sends what was
            lost or refused as busy again until timeout_s.
        features: whether rows have them.
        untrusted: whether clips are decoded in processes with limits.
    """

    url: str
    timeout_s: float
    patience_s: float
    frame_format: FrameFormat = FrameFormat.RAW
    audio_track: int | None = None
    features: bool = False
    limits: FetchLimits = field(default_factory=FetchLimits)
    cookies: Path | None = None
    credentials: Credentials | None = None
    untrusted: bool = False

    @property
    def schema(self) -> pa.Schema:
        """Of the rows between the processes."""
        return pa.schema([NUMBER, STOPS, *result_fields(self.features)])


class FeatureClient(EmotionClient):
    """Also returns what the encoders computed."""

    def classify_with_features(
        self, video: Path, audio_track: int | None
    ) -> tuple[EmotionResult, Features]:
        """As classify, with the features: modality -> float32 [rows, width]."""
        check_file(video)
        with start_call("classify") as call:
            self.check_ready(self.frame_format.model)
            with call.start("decode"):
                decoded = self.decoder.decode(video, audio_track)
            outputs = (*RESULT_OUTPUTS, LENGTHS, *FEATURES.values())
            request = build_request(decoded.clip, outputs, self.frame_format)
            decoded, started = decoded.without_arrays(), time.perf_counter()
            response = self._send(request, call)
            result = parse_result(str(video), decoded, response, milliseconds_since(started))
            return result, parse_features(response)


class Begun:
    """Counts, in a process of its own, how often work on a clip began and did not end."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def begin(self, number: int) -> int:
        """Counts one more, and returns how many there were before."""
        before = self._counts.get(number, 0)
        self._counts[number] = before + 1
        return before

    def end(self, number: int) -> None:
        """The work ended, well or not."""
        self._counts.pop(number, None)


class ClipWorker:
    """Makes rows of blocks of clips, one clip after the other."""

    def __init__(self, settings: Settings, begun: Any) -> None:
        """Prepares; nothing is sent yet.

        Args:
            settings: how clips are classified.
            begun: the actor of Begun.
        """
        self._settings, self._begun = settings, begun
        set_up_traces("vemoclap")
        self._client = FeatureClient(
            settings.url,
            timeout_s=settings.timeout_s,
            frame_format=settings.frame_format,
            credentials=settings.credentials,
            decoder=LimitedDecoder() if settings.untrusted else None,
        )

    def __call__(self, block: pa.Table) -> pa.Table:
        """The rows of a block with NUMBER and SOURCE.

        Raises:
            RayError: Ray failed.
        """
        clips = zip(*(block[each.name].to_pylist() for each in (NUMBER, SOURCE)), strict=True)
        rows = [self._row(number, os.fsdecode(source)) for number, source in clips]
        return pa.Table.from_pylist(rows, schema=self._settings.schema)

    def _row(self, number: int, source: str) -> dict[str, Any]:
        killed = ray.get(self._begun.begin.remote(number))
        stops = False
        try:
            row = self._answer(source, killed)
        except Exception as error:  # An unexpected one is a row too, and does not end the batch.
            row, stops = error_row(error), self._stops(error)
        self._begun.end.remote(number)
        return {NUMBER.name: number, STOPS.name: stops, **row}

    def _answer(self, source: str, killed: int) -> dict[str, Any]:
        if killed >= WORKERS_KILLED_MAX:
            raise WorkerKilledError(
                f"{source}: {killed} processes that worked on it were killed or crashed"
            )
        tries = _Tries(self._settings.patience_s)
        while True:
            try:
                return self._classify(source)
            except ServerError as error:
                if not tries.wait_for_next(error):
                    raise

    def _classify(self, source: str) -> dict[str, Any]:
        settings = self._settings
        with open_source(source, settings.limits, settings.cookies) as path:
            features = None
            if settings.features:
                result, features = self._client.classify_with_features(path, settings.audio_track)
            else:
                result = self._client.classify(path, audio_track=settings.audio_track)
        return result_row(replace(result, video=without_user(source)), features)

    def _stops(self, error: Exception) -> bool:
        """Whether it is not about this clip: no server answers, or they stay busy."""
        if not isinstance(error, ServerError) or isinstance(error, ABOUT_ONE_CLIP):
            return False
        if isinstance(error, ServerOverloadedError):
            return True
        try:
            self._client.check_ready(self._settings.frame_format.model)
        except ServerError:
            return True
        return False


ABOUT_ONE_CLIP = (RequestRejectedError, InferenceError)
"""Errors of a server that works."""


class _Tries:
    """How often a clip is tried, and how long is waited between."""

    def __init__(self, patience_s: float) -> None:
        self._end = time.monotonic() + patience_s
        self._pauses = _pauses()
        self._failed_model = 0

    def wait_for_next(self, error: ServerError) -> bool:
        """Waits and returns True, or returns False: this was the last try."""
        if isinstance(error, RequestRejectedError | AccessDeniedError | CertificateError):
            return False
        if isinstance(error, InferenceError):
            self._failed_model += 1
            if self._failed_model == FAILED_MODEL_TRIES:
                return False
        elif time.monotonic() > self._end:
            return False
        time.sleep(next(self._pauses))
        return True


def _pauses() -> Iterator[float]:
    pause_s = FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
