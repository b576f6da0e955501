"""What is known of a clip before its result, in the published result's own words."""

from collections.abc import Mapping
from typing import Any

from msgspec import to_builtins

from vemoclap_client.media.video import DecodedClip
from vemoclap_client.result import EmotionResult
from vemoclap_client.stream import Evidence

WORDS = (
    "duration_s",
    "frame_times_s",
    "faces",
    "speech",
    "screen_text",
    "audio_events",
    "absent",
)


def of_clip(clip: DecodedClip) -> dict[str, Any]:
    """What a decoded clip tells."""
    return {
        "duration_s": round(clip.duration_s, 3),
        "frame_times_s": [round(time_s, 3) for time_s in clip.frame_times_s],
        "absent": {},
    }


def of_modality(evidence: Evidence) -> dict[str, Any]:
    """What one modality tells."""
    document = to_builtins(evidence)
    words = {"face": "faces", "speech": "speech", "text": "screen_text", "audio": "audio_events"}
    told = {}
    if evidence.modality in words:
        word = words[evidence.modality]
        told[word] = document[word]
    if evidence.absent is not None:
        told["absent"] = {evidence.modality: evidence.absent}
    return told


def of_result(result: EmotionResult) -> Mapping[str, Any]:
    """What a result tells of the same."""
    document = result.to_dict()
    return {word: document[word] for word in WORDS}
