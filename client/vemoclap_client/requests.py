"""The request for a clip, and the result in its response."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2
from tritonclient.utils import np_to_triton_dtype, serialize_byte_tensor

from vemoclap_client.analysis import Analysis, Speech
from vemoclap_client.contract import (
    ANALYSIS,
    ATTENTION,
    AUDIO,
    CAPTION_PARAMETER,
    CONTRIBUTIONS,
    EMOTIONS,
    ENTRY,
    FEATURES,
    FRAMES,
    JPEG_ENTRY,
    JPEG_FRAMES,
    LENGTHS,
    MODALITIES,
    PROBABILITIES,
    SEQUENCES,
    STREAM,
)
from vemoclap_client.documents import parse_json
from vemoclap_client.media.jpeg import encode_jpeg
from vemoclap_client.media.video import Decoded, DecodedClip
from vemoclap_client.result import EmotionResult, Moment, screen_text_with_times, with_times

RESULT_OUTPUTS = (PROBABILITIES, CONTRIBUTIONS, ANALYSIS)
"""What parse_result needs; with ATTENTION it also gives EmotionResult.attention."""


class FrameFormat(StrEnum):
    """How frames are sent."""

    RAW = "raw"
    JPEG = "jpeg"

    @property
    def model(self) -> str:
        """The model that takes them: an entry, as of contract.py."""
        return JPEG_ENTRY if self is FrameFormat.JPEG else ENTRY


class Response(Protocol):
    """A model's output tensors."""

    def as_numpy(self, name: str) -> Any:
        """The output of this name, batch first; None where the request did not name it."""


def build_request(
    clip: DecodedClip,
    outputs: Sequence[str] = RESULT_OUTPUTS,
    frame_format: FrameFormat = FrameFormat.RAW,
) -> dict[str, Any]:
    """The keyword arguments of tritonclient's infer and async_infer for one clip.

    Args:
        clip: frames uint8 [16, H, W, 3] and sound float32 [samples], which are copied.
        outputs: the tensors to return, names of contract.py.
        frame_format: how to send the frames.
    """
    return build_inference(frame_format.model, _input_tensors(clip, frame_format), outputs)


def build_inference(
    model: str, tensors: Mapping[str, NDArray[Any]], outputs: Sequence[str]
) -> dict[str, Any]:
    """The keyword arguments of tritonclient's infer and async_infer.

    Args:
        model: its name.
        tensors: its inputs, batch first, which are copied.
        outputs: the tensors to return.
    """
    inputs = []
    for name, batch in tensors.items():
        tensor = triton.InferInput(name, list(batch.shape), np_to_triton_dtype(batch.dtype))
        tensor.set_data_from_numpy(batch)
        inputs.append(tensor)
    requested = [triton.InferRequestedOutput(name) for name in outputs]
    return {"model_name": model, "inputs": inputs, "outputs": requested}


def build_stream_request(
    clip: DecodedClip, caption: bool, frame_format: FrameFormat = FrameFormat.RAW
) -> service_pb2.ModelInferRequest:
    """The request for a clip's stream of responses, a message of Triton's gRPC service.

    Args:
        clip: as build_request's.
        caption: whether to ask for CAPTION.
        frame_format: as build_request's.
    """
    request = service_pb2.ModelInferRequest(model_name=STREAM)
    for name, batch in _input_tensors(clip, frame_format).items():
        request.inputs.add(name=name, datatype=np_to_triton_dtype(batch.dtype), shape=batch.shape)
        content = serialize_byte_tensor(batch).item() if batch.dtype == object else batch.tobytes()
        request.raw_input_contents.append(content)
    request.parameters[CAPTION_PARAMETER].bool_param = caption
    return request


def _input_tensors(clip: DecodedClip, frame_format: FrameFormat) -> dict[str, NDArray[Any]]:
    if frame_format is FrameFormat.JPEG:
        return {JPEG_FRAMES: encode_jpeg(clip.frames)[None], AUDIO: clip.audio[None]}
    return {FRAMES: clip.frames[None], AUDIO: clip.audio[None]}


def parse_result(
    video: str, decoded: Decoded, response: Response, request_ms: float
) -> EmotionResult:
    """The result that the ensemble's response on a clip holds.

    Args:
        video: the clip's path or link.
        decoded: the clip; its frames and sound are not needed.
        response: has RESULT_OUTPUTS at least.
        request_ms: from sending to the response.

    Raises:
        DocumentError: ANALYSIS misses a field, has a wrong one, or is of another major release.
    """
    clip = decoded.clip
    analysis = parse_json(response.as_numpy(ANALYSIS)[0, 0], Analysis, ANALYSIS)
    return EmotionResult(
        video=video,
        duration_s=round(clip.duration_s, 3),
        frame_times_s=tuple(round(time_s, 3) for time_s in clip.frame_times_s),
        profile=analysis.profile,
        head=analysis.head,
        probabilities=by_emotion(response.as_numpy(PROBABILITIES)[0]),
        contributions=by_modality(response.as_numpy(CONTRIBUTIONS)[0]),
        faces=with_times(analysis.faces, clip.frame_times_s, clip.cuts),
        speech=analysis.speech,
        screen_text=screen_text_with_times(analysis.screen_text, clip.frame_times_s),
        audio_events=analysis.audio_events,
        absent=absent_reasons(analysis.absent, clip),
        timings_ms={"decode": decoded.decode_ms, "request": request_ms, **analysis.timings_ms},
        warnings=(*clip.warnings, *_speech_warnings(analysis.speech)),
        attention=_attention(response.as_numpy(ATTENTION), analysis, clip),
    )


def parse_features(response: Response) -> dict[str, NDArray[np.float32]]:
    """Modality -> features, float32 [rows, width] without the padding.

    Args:
        response: has LENGTHS and FEATURES.
    """
    lengths = dict(zip(MODALITIES, response.as_numpy(LENGTHS)[0], strict=True))
    return {
        modality: np.array(response.as_numpy(FEATURES[modality])[0, : lengths[modality]])
        for modality in MODALITIES
    }


def _speech_warnings(speech: Speech | None) -> tuple[str, ...]:
    if speech is None or speech.heard_until_s is None:
        return ()
    return (
        f"the speech after {speech.heard_until_s:.0f} s was not transcribed: one result takes "
        "three minutes of speech at most; a timeline takes all of it",
    )


def _attention(
    weights: NDArray[np.float32] | None, analysis: Analysis, clip: DecodedClip
) -> dict[str, tuple[Moment, ...]] | None:
    """Modality -> what the head attended to when, from ATTENTION float32 [1, 3, 16]."""
    if weights is None:
        return None
    if not weights.any():
        return {}
    times_s = clip.frame_times_s
    with_faces = sorted({face.frame for face in analysis.faces})
    times_of_rows = {
        "image": [(time_s, time_s) for time_s in times_s],
        "audio": analysis.audio_windows_s,
        "face": [(times_s[frame], times_s[frame]) for frame in with_faces],
    }
    return {
        modality: _moments(times_of_rows[modality], row)
        for modality, row in zip(SEQUENCES, weights[0], strict=True)
        if times_of_rows[modality]
    }


def _moments(
    times_of_rows: Sequence[Sequence[float]], row: NDArray[np.float32]
) -> tuple[Moment, ...]:
    """The real rows' moments; what follows them in the row is padding."""
    real = row[: len(times_of_rows)]
    return tuple(
        Moment(round(start_s, 3), round(end_s, 3), round(float(weight), 6))
        for (start_s, end_s), weight in zip(times_of_rows, real, strict=True)
    )


def absent_reasons(reasons: Mapping[str, str], clip: DecodedClip) -> dict[str, str]:
    """The server's reasons; for missing sound the client's own, which knows the file."""
    if clip.audio_absent_reason is None:
        return dict(reasons)
    return {**reasons, "audio": clip.audio_absent_reason, "speech": clip.audio_absent_reason}


def by_modality(rows: NDArray[np.float32]) -> dict[str, dict[str, float]]:
    """Modality -> emotion -> value, from CONTRIBUTIONS float32 [5, 6]."""
    return {name: by_emotion(row) for name, row in zip(MODALITIES, rows, strict=True)}


def by_emotion(values: NDArray[np.float32]) -> dict[str, float]:
    """Emotion -> value, from PROBABILITIES float32 [6]."""
    return {
        emotion: round(float(value), 6) for emotion, value in zip(EMOTIONS, values, strict=True)
    }
