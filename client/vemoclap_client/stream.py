"""What is known of a clip, as soon as it is: the events of EmotionClient.stream.

First `Decoded`, then one `Evidence` per modality in the order in which they are found, last the
EmotionResult that classify would have answered.
"""

import time
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Thread
from typing import Any, TypeAlias, TypeVar

import grpc
import tritonclient.grpc as triton
from msgspec.structs import replace
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from vemoclap_client._clock import milliseconds_since
from vemoclap_client.analysis import (
    AudioEvent,
    AudioEvidence,
    FaceEvidence,
    FrameCaption,
    Speech,
    SpeechEvidence,
    StepEvidence,
    TextEvidence,
    parse_json,
)
from vemoclap_client.contract import (
    CAPTION,
    ENSEMBLE,
    EVIDENCE,
    STEP,
)
from vemoclap_client.media.video import DecodedClip, decode
from vemoclap_client.requests import absent_reasons, parse_result
from vemoclap_client.result import (
    EmotionResult,
    TimedCaption,
    TimedFace,
    TimedScreenText,
    screen_text_with_times,
    with_times,
)

MODALITY_OF_STEP = {
    "image_encoder": "image",
    "audio_analyzer": "audio",
    "face_analyzer": "face",
    "speech_recognizer": "speech",
    "screen_reader": "text",
}
"""The steps whose end is of interest. Others may come; they are passed over."""

EVIDENCE_OF_MODALITY: dict[str, type[StepEvidence]] = {
    "image": StepEvidence,
    "audio": AudioEvidence,
    "face": FaceEvidence,
    "speech": SpeechEvidence,
    "text": TextEvidence,
}

ENDED_EARLY = ("the stream of answers ended before the last one", "StatusCode.UNAVAILABLE")

POLL_INTERVAL_S = 0.1
"""How often somebody who waits looks whether it was cancelled."""

Value = TypeVar("Value")
Outcome: TypeAlias = tuple[Value | None, BaseException | None]
"""A value or, in its place, what went wrong."""


@dataclass(frozen=True)
class Decoded:
    """The clip's frames and sound, which are now sent to the server.

    Attributes:
        clip: as `decode` gives it.
        decode_ms: how long decoding took.
    """

    clip: DecodedClip
    decode_ms: float


@dataclass(frozen=True)
class Evidence:
    """What one modality said; the fields of other modalities are empty.

    Attributes:
        modality: one of contract.MODALITIES. "image" only says that the frames were encoded.
        faces: of "face".
        speech: of "speech".
        screen_text: of "text".
        audio_events: of "audio".
        absent: why the modality said nothing; None where it did.
    """

    modality: str
    faces: tuple[TimedFace, ...] = ()
    speech: Speech | None = None
    screen_text: TimedScreenText | None = None
    audio_events: tuple[AudioEvent, ...] = ()
    absent: str | None = None


Event: TypeAlias = Decoded | Evidence | EmotionResult


def decode_timed(video: str | Path) -> Decoded:
    """Decodes a video file.

    Raises:
        VideoError: the file cannot be classified; its kind says why.
    """
    started = time.perf_counter()
    clip = decode(video)
    return Decoded(clip, milliseconds_since(started))


class StreamReader:
    """Reads the answers of one stream."""

    def __init__(self, video: str, decoded: Decoded) -> None:
        """Starts the clock of the request, which is about to be sent."""
        self._video = video
        self._decoded = decoded
        self._started = time.perf_counter()

    def read(self, answer: triton.InferResult) -> Evidence | EmotionResult | None:
        """What an answer tells; None for a step that nobody needs to hear of."""
        if is_last(answer):
            return self._result(answer)
        step = answer.as_numpy(STEP)[0, 0].decode()
        if step not in MODALITY_OF_STEP:
            return None
        modality = MODALITY_OF_STEP[step]
        return read_evidence(modality, answer.as_numpy(EVIDENCE)[0, 0], self._decoded.clip)

    def _result(self, answer: triton.InferResult) -> EmotionResult:
        clip, decode_ms = self._decoded.clip, self._decoded.decode_ms
        request_ms = milliseconds_since(self._started)
        result = parse_result(self._video, clip, decode_ms, answer, request_ms)
        document = answer.as_numpy(CAPTION)[0, 0]
        if document == b"null":
            return result
        caption = parse_json(document, FrameCaption, CAPTION)
        time_s = result.frame_times_s[caption.frame]
        return replace(result, caption=TimedCaption(caption.frame, caption.text, time_s))


def read_evidence(modality: str, document: bytes, clip: DecodedClip) -> Evidence:
    """A modality's evidence, from the document of its step.

    Raises:
        DocumentError: a field is missing or wrong.
    """
    found = parse_json(document, EVIDENCE_OF_MODALITY[modality], f"{EVIDENCE} of {modality}")
    absent = absent_reasons({modality: found.absent} if found.absent else {}, clip).get(modality)
    match found:
        case FaceEvidence(faces=faces):
            return Evidence(modality, faces=with_times(faces, clip.frame_times_s), absent=absent)
        case SpeechEvidence(speech=speech):
            return Evidence(modality, speech=speech, absent=absent)
        case TextEvidence(screen_text=text):
            timed = screen_text_with_times(text, clip.frame_times_s)
            return Evidence(modality, screen_text=timed, absent=absent)
        case AudioEvidence(events=events):
            return Evidence(modality, audio_events=events, absent=absent)
    return Evidence(modality, absent=absent)


def stream_answers(
    url: str, request: service_pb2.ModelInferRequest, timeout_s: float, cancel: Flag | None
) -> Generator[triton.InferResult]:
    """The answers to one request, until the last one.

    Over gRPC itself: a client of Triton's has one stream at a time, and does not end the thread
    that sends to it. However the generator ends, nothing is left at work.

    Raises:
        InferenceServerException: as of tritonclient's calls.
        CancelledError: `cancel` was set.
    """
    answers: SimpleQueue[Outcome[Any]] = SimpleQueue()
    with grpc.insecure_channel(url) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        call = stub.ModelStreamInfer(iter([request]), timeout=timeout_s)
        reader = Thread(target=_read_into, args=(answers, call), name="vemoclap-stream")
        reader.start()
        try:
            last = False
            while not last:
                answer = to_answer(first_of(answers, cancel))
                last = is_last(answer)
                yield answer
        finally:
            call.cancel()
            reader.join()


def _read_into(answers: "SimpleQueue[Outcome[Any]]", call: Any) -> None:
    try:
        for response in call:
            answers.put((response, None))
        answers.put((None, InferenceServerException(*ENDED_EARLY)))
    except grpc.RpcError as error:
        answers.put((None, status_of(error)))


async def stream_answers_async(
    url: str, request: service_pb2.ModelInferRequest, timeout_s: float
) -> AsyncGenerator[triton.InferResult]:
    """As stream_answers."""
    async with grpc.aio.insecure_channel(url) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        call = stub.ModelStreamInfer(iter([request]), timeout=timeout_s)
        try:
            async for response in call:
                answer = to_answer(response)
                yield answer
                if is_last(answer):
                    return
            raise InferenceServerException(*ENDED_EARLY)
        except grpc.RpcError as error:
            raise status_of(error) from error
        finally:
            call.cancel()


def to_answer(response: service_pb2.ModelStreamInferResponse) -> triton.InferResult:
    """The answer in a response.

    Raises:
        InferenceServerException: the response is an error; it has no status, but a message.
    """
    if response.error_message:
        raise InferenceServerException(response.error_message)
    return triton.InferResult(response.infer_response)


def status_of(error: Any) -> InferenceServerException:
    """A gRPC error as tritonclient raises it."""
    return InferenceServerException(error.details(), str(error.code()))


def is_last(answer: triton.InferResult) -> bool:
    """Whether no answer follows."""
    return bool(answer.as_numpy(STEP)[0, 0].decode() == ENSEMBLE)


def interruptible(work: Callable[[], Value], cancel: Flag | None) -> Value:
    """What `work` returns or raises; it runs in a thread, and is left alone when cancelled.

    Raises:
        CancelledError: `cancel` was set.
    """
    outcome: SimpleQueue[Outcome[Value]] = SimpleQueue()

    def run() -> None:
        try:
            outcome.put((work(), None))
        except BaseException as error:
            outcome.put((None, error))

    Thread(target=run, name="vemoclap-decode", daemon=True).start()
    return first_of(outcome, cancel)


def first_of(outcomes: "SimpleQueue[Outcome[Value]]", cancel: Flag | None) -> Value:
    """Waits for the queue's next outcome, and returns or raises it.

    Raises:
        CancelledError: `cancel` was set.
    """
    while True:
        if cancel is not None and cancel.is_set():
            raise CancelledError("the classification was cancelled")
        try:
            value, error = outcomes.get(timeout=POLL_INTERVAL_S)
        except Empty:
            continue
        if error is not None:
            raise error
        assert value is not None
        return value
