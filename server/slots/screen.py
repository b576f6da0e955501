"""Slot screen_reader: frames -> on-screen text with boxes and language -> text features.

Source: VEMOCLAP reads every frame.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rapidocr import RapidOCR
from rapidocr.ch_ppocr_det.utils import ResizeImgError as DetectorResizeError
from rapidocr.utils.output import RapidOCROutput
from rapidocr.utils.process_img import ResizeImgError

from server.slots.frames import relative_box, unusable
from server.slots.repeats import first_shown
from server.slots.screen_text import EncodedTexts, ScreenTextEncoder
from server.slots.slot import CPU, Device, Infer, Tensors, analyzer_outputs, elapsed_ms
from server.slots.text import TextEncoder
from vemoclap_client.analysis import ScreenText, TextEvidence, TextLine
from vemoclap_client.contract import NO_TEXT

CONFIDENCE_THRESHOLD = 0.8
"""Without one, the recogniser invents characters in textures; tried on real clips."""
SHORTEST_TEXT = 2
LONGER_SIDE_PX = 640
"""The detector works at this size: three times faster than its default, captions still read."""


@dataclass(frozen=True)
class DetectedLine:
    """A line of text in one frame; box is x0, y0, x1, y1 in pixels."""

    frame: int
    box: tuple[float, float, float, float]
    text: str
    confidence: float


class ScreenReader:
    """FRAMES uint8 [16, H, W, 3] -> FEATURES [1, width], LENGTH, EVIDENCE (TextEvidence)."""

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Loads the OCR models from `ocr/` and the text encoder's tokenizer."""
        self._ocr = load_ocr(version_directory / "ocr")
        repository = version_directory.parent.parent
        self._text = TextEncoder(repository)
        self._texts = ScreenTextEncoder(repository, self._text)

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Reads one clip's frames and encodes their text."""
        rows = await self._text.width.no_rows(infer)
        started = time.perf_counter()
        frames = inputs["FRAMES"]
        absent, screen_text = unusable(frames), None
        lines, frames_read = ([], ()) if absent else self._read(frames)
        if lines:
            encoded = await self._texts.encode([line.text for line in lines], infer)
            rows, absent = encoded.rows, encoded.absent
            screen_text = model_screen_text(lines, frames.shape[1:3], encoded)
        evidence = TextEvidence(
            absent=absent if lines else absent or NO_TEXT,
            screen_text=screen_text,
            frames_read=frames_read,
            duration_ms=elapsed_ms(started),
        )
        return analyzer_outputs(rows, 1, evidence)

    def _read(self, frames: NDArray[np.uint8]) -> tuple[list[DetectedLine], tuple[int, ...]]:
        """The lines of all frames, uint8 [16, H, W, 3]; of equal frames in a row, the first's.

        And which frames were read: every other one shows what the one before it shows.
        """
        frames_read = sorted(set(first_shown(frames)))
        lines = [line for index in frames_read for line in self._read_frame(index, frames[index])]
        return lines, tuple(frames_read)

    def _read_frame(self, index: int, frame: NDArray[np.uint8]) -> list[DetectedLine]:
        try:
            found = self._ocr(np.ascontiguousarray(frame[..., ::-1]), use_cls=True)
        except (DetectorResizeError, ResizeImgError):
            # A strip too narrow for the detector's grid holds no text to read.
            return []
        if not isinstance(found, RapidOCROutput) or found.boxes is None:
            return []
        return [
            DetectedLine(index, _bounds(corners), text.strip(), float(score))
            for corners, text, score in zip(
                found.boxes, found.txts or (), found.scores or (), strict=True
            )
            if score >= CONFIDENCE_THRESHOLD and len(text.strip()) >= SHORTEST_TEXT
        ]


def load_ocr(directory: Path) -> RapidOCR:
    """RapidOCR on the model files in `directory`, as export names them."""
    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Det.model_path": str(directory / "detector.onnx"),
            "Rec.model_path": str(directory / "recognizer.onnx"),
            "Cls.model_path": str(directory / "direction.onnx"),
            "Det.limit_side_len": LONGER_SIDE_PX,
            "Det.limit_type": "max",
        }
    )


def _bounds(corners: NDArray[np.float32]) -> tuple[float, float, float, float]:
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def model_screen_text(
    lines: list[DetectedLine], size: tuple[int, ...], encoded: EncodedTexts
) -> ScreenText:
    """The text as evidence.

    Args:
        lines: at least one.
        size: the frames' height and width.
        encoded: what they say.
    """
    return ScreenText(
        text=encoded.text,
        language=encoded.language,
        lines=tuple(
            TextLine(line.frame, relative_box(line.box, size), line.text, round(line.confidence, 4))
            for line in lines
        ),
        sentiment=encoded.sentiment,
    )
