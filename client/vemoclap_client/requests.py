"""Reads the ensemble's answer on a clip."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vemoclap_client.analysis import Analysis, parse_json
from vemoclap_client.contract import (
    ANALYSIS,
    ATTENTION,
    CONTRIBUTIONS,
    EMOTIONS,
    MODALITIES,
    PROBABILITIES,
    SEQUENCES,
)
from vemoclap_client.media.video import DecodedClip
from vemoclap_client.result import EmotionResult, Moment, screen_text_with_times, with_times


class Answer(Protocol):
    """The outputs of a request."""

    def as_numpy(self, name: str) -> Any:
        """The output of this name, batch first; None where it was not asked for."""


def read_result(
    video: str, clip: DecodedClip, decode_ms: float, answer: Answer, request_ms: float
) -> EmotionResult:
    """The typed result from the ensemble's answer on a clip.

    Raises:
        DocumentError: ANALYSIS misses a field, has a wrong one, or is of another major release.
    """
    analysis = parse_json(answer.as_numpy(ANALYSIS)[0, 0], Analysis, ANALYSIS)
    rows = zip(MODALITIES, answer.as_numpy(CONTRIBUTIONS)[0], strict=True)
    return EmotionResult(
        video=video,
        duration_s=round(clip.duration_s, 3),
        frame_times_s=tuple(round(time_s, 3) for time_s in clip.frame_times_s),
        profile=analysis.profile,
        head=analysis.head,
        probabilities=_by_emotion(answer.as_numpy(PROBABILITIES)[0]),
        contributions={modality: _by_emotion(row) for modality, row in rows},
        faces=with_times(analysis.faces, clip.frame_times_s),
        speech=analysis.speech,
        screen_text=screen_text_with_times(analysis.screen_text, clip.frame_times_s),
        audio_events=analysis.audio_events,
        absent=read_absent(analysis.absent, clip),
        timings_ms={"decode": decode_ms, "request": request_ms, **analysis.timings_ms},
        warnings=clip.warnings,
        attention=_attention(answer.as_numpy(ATTENTION), analysis, clip),
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
    stretches = {
        "image": [(time_s, time_s) for time_s in times_s],
        "audio": analysis.audio_windows_s,
        "face": [(times_s[frame], times_s[frame]) for frame in with_faces],
    }
    return {
        modality: _moments(stretches[modality], row)
        for modality, row in zip(SEQUENCES, weights[0], strict=True)
        if stretches[modality]
    }


def _moments(stretches: Sequence[Sequence[float]], row: NDArray[np.float32]) -> tuple[Moment, ...]:
    """The real rows' moments; what follows them in the row is padding."""
    real = row[: len(stretches)]
    return tuple(
        Moment(round(start_s, 3), round(end_s, 3), round(float(weight), 6))
        for (start_s, end_s), weight in zip(stretches, real, strict=True)
    )


def read_absent(reasons: Mapping[str, str], clip: DecodedClip) -> dict[str, str]:
    """The server's reasons; for missing sound the client's own, which knows the file."""
    if clip.audio_absent_reason is None:
        return dict(reasons)
    return {**reasons, "audio": clip.audio_absent_reason, "speech": clip.audio_absent_reason}


def _by_emotion(values: NDArray[np.float32]) -> dict[str, float]:
    return {
        emotion: round(float(value), 6) for emotion, value in zip(EMOTIONS, values, strict=True)
    }
