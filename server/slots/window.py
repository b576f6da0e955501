"""Model vemoclap_window: the rows and words of a timeline's window -> the head's answer.

The rows were computed by vemoclap_frames and audio_encoder, the words by speech_recognizer and
screen_reader, each once for all windows that share them.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.slots.analysis import ServedHead
from server.slots.audio import EventNames, audio_width
from server.slots.face import face_width
from server.slots.language import UNKNOWN
from server.slots.screen_text import EncodedTexts, ScreenTextEncoder
from server.slots.slot import CPU, Device, FeatureWidth, Infer, Tensors, json_tensor
from server.slots.text import TextEncoder
from vemoclap_client.analysis import Head, WindowEvidence
from vemoclap_client.contract import (
    CONTRIBUTIONS,
    EVENTS,
    EVIDENCE,
    FEATURES,
    FRAME_COUNT,
    HEAD,
    LENGTHS,
    MODALITIES,
    NO_TEXT,
    PROBABILITIES,
    SCREEN_TEXTS,
    SEQUENCES,
    SPEECH_TEXT,
)
from vemoclap_client.documents import parse_json

ROW_COUNTS = {name: FRAME_COUNT if name in SEQUENCES else 1 for name in MODALITIES}
"""Modality -> rows of its features after padding."""


class WindowFuser:
    """See the inputs and outputs in the model's config.pbtxt."""

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Loads the text encoder's tokenizer and the names of the audio events."""
        repository = version_directory.parent.parent
        self._text = TextEncoder(repository)
        self._screen = ScreenTextEncoder(repository, self._text)
        self._events = EventNames(repository)
        self._widths: dict[str, FeatureWidth] = {"audio": audio_width(), "face": face_width()}

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Encodes the words of one window, and fuses them with its rows."""
        speech, screen = await asyncio.gather(
            self._encode_speech(inputs[SPEECH_TEXT][0].decode(), infer),
            self._encode_screen([text.decode() for text in inputs[SCREEN_TEXTS]], infer),
        )
        rows = {"image": inputs[FEATURES["image"]], "speech": speech, "text": screen.rows}
        for modality, width in self._widths.items():
            given = inputs[FEATURES[modality]]
            rows[modality] = given if len(given) else await width.no_rows(infer)
        fused = await infer("fusion", fusion_inputs(rows), [PROBABILITIES, CONTRIBUTIONS, HEAD])
        head = parse_json(fused[HEAD][0, 0], ServedHead, "HEAD of slot fusion")
        events = inputs[EVENTS]
        evidence = WindowEvidence(
            profile=head.profile,
            head=Head(head.kind, head.trained_on),
            screen_text=screen.text or None,
            text_absent=screen.absent,
            audio_events=self._events.strongest(events) if len(events) else (),
        )
        answer = {name: fused[name][0] for name in (PROBABILITIES, CONTRIBUTIONS)}
        return {**answer, EVIDENCE: json_tensor(evidence)}

    async def _encode_speech(self, text: str, infer: Infer) -> NDArray[np.float32]:
        if not text:
            return await self._text.width.no_rows(infer)
        rows, _ = await self._text.encode(text, infer)
        return rows

    async def _encode_screen(self, texts: list[str], infer: Infer) -> EncodedTexts:
        if texts:
            return await self._screen.encode(texts, infer)
        return EncodedTexts(await self._text.width.no_rows(infer), NO_TEXT, "", UNKNOWN, None)


def fusion_inputs(rows: Mapping[str, NDArray[np.float32]]) -> Tensors:
    """The inputs of slot fusion, batch-first, of one window.

    Args:
        rows: modality -> its features, float32 [n, width]; 16 at most of a sequence, else 1.
    """
    tensors: Tensors = {LENGTHS: np.array([[len(rows[name]) for name in MODALITIES]], np.int32)}
    for modality, features in rows.items():
        padded = np.zeros((1, ROW_COUNTS[modality], features.shape[1]), np.float32)
        padded[0, : len(features)] = features
        tensors[FEATURES[modality]] = padded
    return tensors
