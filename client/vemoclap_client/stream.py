"""The events of EmotionClient.stream, and their parsing from the responses of the model STREAM.

First `Decoded`, then one `Evidence` per modality in the order in which the steps end, last the
EmotionResult that classify would have returned.
"""

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from typing import TypeAlias

import tritonclient.grpc as triton
from msgspec.structs import replace

from vemoclap_client._clock import milliseconds_since
from vemoclap_client._retrying import AGAIN, Attempts
from vemoclap_client._stream_call import is_last
from vemoclap_client.analysis import (
    AudioEvent,
    AudioEvidence,
    FaceEvidence,
    FrameCaption,
    Speech,
    SpeechEvidence,
    StepEvidence,
    TextEvidence,
)
from vemoclap_client.contract import CAPTION, EVIDENCE, STEP
from vemoclap_client.documents import parse_json
from vemoclap_client.media.video import Decoded, DecodedClip
from vemoclap_client.requests import absent_reasons, parse_result
from vemoclap_client.result import (
    EmotionResult,
    TimedCaption,
    TimedFace,
    TimedScreenText,
    screen_text_with_times,
    with_times,
)
from vemoclap_client.tracing import Span

MODALITY_OF_STEP = {
    "image_encoder": "image",
    "audio_analyzer": "audio",
    "face_analyzer": "face",
    "speech_recognizer": "speech",
    "screen_reader": "text",
}
"""Step -> modality of its evidence. Responses of other steps are skipped."""

EVIDENCE_OF_MODALITY: dict[str, type[StepEvidence]] = {
    "image": StepEvidence,
    "audio": AudioEvidence,
    "face": FaceEvidence,
    "speech": SpeechEvidence,
    "text": TextEvidence,
}


@dataclass(frozen=True)
class Evidence:
    """What one step found for its modality; the fields of other modalities are empty.

    Attributes:
        modality: one of contract.MODALITIES. "image" only says that the frames were encoded.
        faces: of "face".
        speech: of "speech".
        screen_text: of "text".
        audio_events: of "audio".
        absent: why there is nothing of the modality to use; None where there is.
    """

    modality: str
    faces: tuple[TimedFace, ...] = ()
    speech: Speech | None = None
    screen_text: TimedScreenText | None = None
    audio_events: tuple[AudioEvent, ...] = ()
    absent: str | None = None


Event: TypeAlias = Decoded | Evidence | EmotionResult


class StreamParser:
    """Parses the responses of one stream."""

    def __init__(self, video: str, decoded: Decoded, sent: Span) -> None:
        """Starts the clock of the request, which is about to be sent as `sent`."""
        self._video = video
        self._decoded = decoded
        self._sent = sent
        self._started = time.perf_counter()
        self._parsed: set[str] = set()

    def events(
        self,
        send: Callable[[float], Generator[triton.InferResult]],
        attempts: Attempts,
        errors: Callable[[], AbstractContextManager[None]],
    ) -> Generator[Evidence | EmotionResult]:
        """The events of a request, which is sent again where that is safe.

        Args:
            send: is given the seconds that are left, and yields the responses.
            attempts: how often.
            errors: raises the errors of Triton's client as this package's.
        """
        for left_s in attempts:
            try:
                with closing(send(left_s)) as responses, errors():
                    yield from filter(None, map(self.parse, responses))
            except AGAIN as error:
                attempts.failed(error)
            else:
                return

    def parse(self, response: triton.InferResult) -> Evidence | EmotionResult | None:
        """A response's event; None for a step that is in no event, or was in one.

        A request that is sent again gets all its responses again.

        Raises:
            DocumentError: a field is missing or wrong.
        """
        if is_last(response):
            return self._parse_last(response)
        step = response.as_numpy(STEP)[0, 0].decode()
        self._sent.add_ended(f"step {step}", step=step)
        modality = MODALITY_OF_STEP.get(step)
        if modality is None or modality in self._parsed:
            return None
        self._parsed.add(modality)
        return parse_evidence(modality, response.as_numpy(EVIDENCE)[0, 0], self._decoded.clip)

    def _parse_last(self, response: triton.InferResult) -> EmotionResult:
        request_ms = milliseconds_since(self._started)
        result = parse_result(self._video, self._decoded, response, request_ms)
        document = response.as_numpy(CAPTION)[0, 0]
        if document == b"null":
            return result
        caption = parse_json(document, FrameCaption, CAPTION)
        time_s = result.frame_times_s[caption.frame]
        return replace(result, caption=TimedCaption(caption.frame, caption.text, time_s))


def parse_evidence(modality: str, document: bytes, clip: DecodedClip) -> Evidence:
    """A modality's evidence, from the document of its step.

    Raises:
        DocumentError: a field is missing or wrong.
    """
    step = parse_json(document, EVIDENCE_OF_MODALITY[modality], f"{EVIDENCE} of {modality}")
    absent = absent_reasons({modality: step.absent} if step.absent else {}, clip).get(modality)
    match step:
        case FaceEvidence(faces=faces):
            timed_faces = with_times(faces, clip.frame_times_s, clip.cuts)
            return Evidence(modality, faces=timed_faces, absent=absent)
        case SpeechEvidence(speech=speech):
            return Evidence(modality, speech=speech, absent=absent)
        case TextEvidence(screen_text=text):
            timed = screen_text_with_times(text, clip.frame_times_s)
            return Evidence(modality, screen_text=timed, absent=absent)
        case AudioEvidence(events=events):
            return Evidence(modality, audio_events=events, absent=absent)
    return Evidence(modality, absent=absent)
