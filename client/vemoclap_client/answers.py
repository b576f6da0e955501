"""Reads the ensemble's answer on a clip."""

import json
from collections.abc import Mapping

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray

from vemoclap_client.contract import ANALYSIS, CONTRIBUTIONS, EMOTIONS, MODALITIES, PROBABILITIES
from vemoclap_client.results import (
    AudioEvent,
    EmotionResult,
    Head,
    read_faces,
    read_screen_text,
    read_speech,
)
from vemoclap_client.video import Clip


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


def _by_emotion(values: NDArray[np.float32]) -> dict[str, float]:
    return {
        emotion: round(float(value), 6) for emotion, value in zip(EMOTIONS, values, strict=True)
    }
