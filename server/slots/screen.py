"""Slot screen_reader: frames -> on-screen text with boxes and language -> text features.

Source: VEMOCLAP reads every frame, lower-cases, keeps unique texts in order, translates those
that are not English, and joins what is unique then with ". ". Where the profile has no translator,
text that is not English as a whole is shown, but not encoded.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidocr import RapidOCR
from rapidocr.ch_ppocr_det.utils import ResizeImgError as DetectorResizeError
from rapidocr.utils.output import RapidOCROutput
from rapidocr.utils.process_img import ResizeImgError

from server.slots.frames import unusable
from server.slots.language import UNKNOWN, Languages, commonest, language_of
from server.slots.slot import CPU, Device, Infer, Tensors, analyzer_outputs, timed
from server.slots.text import TextEncoder
from vemoclap_client.contract import ENGLISH

CONFIDENCE_THRESHOLD = 0.8
"""Without one, the recogniser invents characters in textures; tried on real clips."""
SHORTEST_TEXT = 2
TEXTS_AT_MOST = 256
"""Different texts that are identified and translated: with the stops between them, those of one
token each already fill the text encoder's 512."""
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
        repository = version_directory.parent.parent
        self._text = TextEncoder(repository)
        self._languages = Languages(repository)

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Reads one clip's frames and encodes their text."""
        evidence: dict[str, Any] = {"absent": None, "screen_text": None}
        rows = await self._text.width.no_rows(infer)
        with timed(evidence):
            evidence["absent"], screen_text = await self._look(inputs["FRAMES"], infer)
            evidence["screen_text"] = screen_text
            if screen_text and evidence["absent"] is None:
                text = screen_text["text"]
                rows, screen_text["sentiment"] = await self._text.encode(text, infer)
        return analyzer_outputs(rows, 1, evidence)

    async def _look(
        self, frames: NDArray[np.uint8], infer: Infer
    ) -> tuple[str | None, dict[str, Any] | None]:
        """Why there is no English text, if so; and the text, if there is one."""
        reason = unusable(frames)
        lines = [] if reason else self._read(frames)
        if not lines:
            return reason or "no text was found on the screen", None
        texts = unique_texts(lines)
        # A profile that translates does so text by text: each may be in another language.
        texts = texts[:TEXTS_AT_MOST] if self._languages.translates else [". ".join(texts)]
        found = await self._languages.identify(texts, infer)
        screen_text = describe(lines, frames.shape[1:3], commonest(found))
        languages = dict(zip(texts, found, strict=True))
        return await self._translate(screen_text, languages, infer), screen_text

    async def _translate(
        self, screen_text: dict[str, Any], languages: dict[str, str], infer: Infer
    ) -> str | None:
        """Puts screen_text["text"] into English, where it is not; returns why it could not."""
        foreign = {
            text: language
            for text, language in languages.items()
            if language not in (ENGLISH, UNKNOWN)
        }
        if not foreign:
            return None
        named = f"the on-screen text is in language {commonest(list(foreign.values()))!r}, which"
        if not self._languages.translates:
            return f"{named} this profile cannot translate"
        try:
            english = await self._languages.translate(foreign, infer)
        except Exception as error:
            return f"{named} could not be translated: {error}"
        texts = dict.fromkeys(english.get(text, text) for text in languages)
        screen_text["text"] = ". ".join(text for text in texts if text) or screen_text["text"]
        return None if any(texts) else f"{named} the translator has no words for"

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


def unique_texts(lines: list[Line]) -> list[str]:
    """The lines' texts, lower-cased, each once, in order."""
    return list(dict.fromkeys(line.text.lower() for line in lines))


def describe(
    lines: list[Line], size: tuple[int, ...], language: str | None = None
) -> dict[str, Any]:
    """The text for people; boxes as fractions of the frame's width and height.

    Args:
        lines: at least one.
        size: the frames' height and width.
        language: the text's, if it is known.
    """
    text = ". ".join(unique_texts(lines))
    height, width = size
    return {
        "text": text,
        "language": language or language_of(text),
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
