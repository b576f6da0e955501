"""Slots length_collector and answer_writer: what stands between the analyzers and the answer."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from server.slots.slot import CPU, Device, Infer, Tensors, json_tensor
from vemoclap_client.contract import (
    ANALYSIS,
    ANALYSIS_SCHEMA_VERSION,
    FEATURES,
    FRAME_COUNT,
    LENGTHS,
    MODALITIES,
)

ANALYZERS = {
    "audio": "audio_analyzer",
    "face": "face_analyzer",
    "speech": "speech_recognizer",
    "text": "screen_reader",
}
"""Modality -> the slot that finds it. Frames are always there, so `image` has none."""


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

    Hands on the features and lengths as they are; see the slot's config.pbtxt for the reason.
    """

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Needs no files."""

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Joins the documents; see vemoclap_client/schemas/analysis.schema.json."""
        evidence = {
            modality: json.loads(inputs[f"{modality.upper()}_EVIDENCE"][0])
            for modality in ANALYZERS
        }
        head = json.loads(inputs["HEAD"][0])
        copies = {f"{name}_COPY": inputs[name] for name in (*FEATURES.values(), LENGTHS)}
        return {ANALYSIS: json_tensor(write_analysis(head, evidence)), **copies}


def write_analysis(head: dict[str, Any], evidence: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The analysis document from the head's and each modality's own document."""
    return {
        "schema_version": ANALYSIS_SCHEMA_VERSION,
        "profile": head["profile"],
        "head": {"kind": head["kind"], "trained_on": head["trained_on"]},
        "faces": evidence["face"]["faces"],
        "speech": evidence["speech"]["speech"],
        "screen_text": evidence["text"]["screen_text"],
        "audio_events": evidence["audio"]["events"],
        "audio_windows_s": evidence["audio"]["windows_s"],
        "absent": {
            modality: document["absent"]
            for modality, document in evidence.items()
            if document["absent"]
        },
        "timings_ms": {
            ANALYZERS[modality]: document["duration_ms"] for modality, document in evidence.items()
        },
    }
