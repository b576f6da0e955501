"""Slots length_collector and answer_writer: they join the outputs of the four analyzers."""

from pathlib import Path
from typing import TypeVar

import numpy as np

from server.slots.slot import CPU, Device, Infer, Tensors, json_tensor
from vemoclap_client.analysis import (
    Analysis,
    AudioEvidence,
    FaceEvidence,
    Head,
    SpeechEvidence,
    StepEvidence,
    TextEvidence,
)
from vemoclap_client.contract import ANALYSIS, FEATURES, FRAME_COUNT, LENGTHS, MODALITIES
from vemoclap_client.documents import parse_json

ANALYZERS = {
    "audio": "audio_analyzer",
    "face": "face_analyzer",
    "speech": "speech_recognizer",
    "text": "screen_reader",
}
"""Modality -> its analyzer. Every clip has frames, so `image` needs none."""


Evidence = TypeVar("Evidence", bound=StepEvidence)


class ServedHead(Head, frozen=True):
    """The document in the output HEAD of slot fusion: the head, and the profile it belongs to."""

    profile: str


class LengthCollector:
    """The analyzers' LENGTH tensors -> LENGTHS int32 [5]."""

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Needs no files."""

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Puts the lengths in the order of contract.MODALITIES."""
        lengths = [
            int(inputs[f"{modality.upper()}_LENGTH"][0]) if modality in ANALYZERS else FRAME_COUNT
            for modality in MODALITIES
        ]
        return {LENGTHS: np.array(lengths, np.int32)}


class AnswerWriter:
    """The analyzers' EVIDENCE and the fusion head's HEAD -> ANALYSIS, one JSON document.

    Hands on the features and lengths unchanged; see the slot's config.pbtxt for the reason.
    """

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Needs no files."""

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Parses the documents of one clip and joins them.

        Raises:
            DocumentError: one of them is not as vemoclap_client.analysis has it.
        """
        head = parse_json(inputs["HEAD"][0], ServedHead, "HEAD of slot fusion")
        audio = _parse(inputs, "audio", AudioEvidence)
        face = _parse(inputs, "face", FaceEvidence)
        speech = _parse(inputs, "speech", SpeechEvidence)
        text = _parse(inputs, "text", TextEvidence)
        steps = dict(zip(ANALYZERS, (audio, face, speech, text), strict=True))
        analysis = Analysis(
            profile=head.profile,
            head=Head(head.kind, head.trained_on),
            faces=face.faces,
            speech=speech.speech,
            screen_text=text.screen_text,
            audio_events=audio.events,
            audio_windows_s=audio.windows_s,
            absent={modality: step.absent for modality, step in steps.items() if step.absent},
            timings_ms={ANALYZERS[modality]: step.duration_ms for modality, step in steps.items()},
        )
        copies = {f"{name}_COPY": inputs[name] for name in (*FEATURES.values(), LENGTHS)}
        return {ANALYSIS: json_tensor(analysis), **copies}


def _parse(inputs: Tensors, modality: str, kind: type[Evidence]) -> Evidence:
    document = inputs[f"{modality.upper()}_EVIDENCE"][0]
    return parse_json(document, kind, f"EVIDENCE of slot {ANALYZERS[modality]}")
