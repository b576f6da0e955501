"""Slot screen_reader: frames -> on-screen text with boxes and language -> text features.

Source: VEMOCLAP reads every frame, lower-cases, keeps unique texts in order, translates those
that are not English, and joins what is unique then with ". ". Where the profile has no translator,
text that is not English as a whole is shown, but not encoded.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec import structs
from numpy.typing import NDArray
from rapidocr import RapidOCR
from rapidocr.ch_ppocr_det.utils import ResizeImgError as DetectorResizeError
from rapidocr.utils.output import RapidOCROutput
from rapidocr.utils.process_img import ResizeImgError

from server.slots.frames import relative_box, unusable
from server.slots.language import UNKNOWN, Languages, commonest
from server.slots.repeats import first_shown
from server.slots.slot import CPU, Device, Infer, Tensors, analyzer_outputs, elapsed_ms
from server.slots.text import TextEncoder
from vemoclap_client.analysis import ScreenText, TextEvidence, TextLine
from vemoclap_client.contract import ENGLISH

CONFIDENCE_THRESHOLD = 0.8
"""Without one, the recogniser invents characters in textures; tried on real clips."""
SHORTEST_TEXT = 2
TEXTS_AT_MOST = 256
"""Different texts that are identified and translated: with the stops between them, those of one
token each already fill the text encoder's 512."""
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
        self._languages = Languages(repository)

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Reads one clip's frames and encodes their text."""
        rows = await self._text.width.no_rows(infer)
        started = time.perf_counter()
        absent, screen_text = await self._read_text(inputs["FRAMES"], infer)
        if screen_text is not None and absent is None:
            rows, sentiment = await self._text.encode(screen_text.text, infer)
            screen_text = structs.replace(screen_text, sentiment=sentiment)
        duration_ms = elapsed_ms(started)
        evidence = TextEvidence(absent=absent, screen_text=screen_text, duration_ms=duration_ms)
        return analyzer_outputs(rows, 1, evidence)

    async def _read_text(
        self, frames: NDArray[np.uint8], infer: Infer
    ) -> tuple[str | None, ScreenText | None]:
        """Why frames, uint8 [16, H, W, 3], have no English text, or None; and their text, if any.

        A profile with a translator identifies and translates each unique text by itself: each may
        be in another language. Without one, all of them are one text.
        """
        absent = unusable(frames)
        lines = [] if absent else self._read(frames)
        if not lines:
            return absent or "no text was found on the screen", None
        texts = unique_texts(lines)
        texts = texts[:TEXTS_AT_MOST] if self._languages.translates else [". ".join(texts)]
        identified = await self._languages.identify(texts, infer)
        screen_text = model_screen_text(lines, frames.shape[1:3], commonest(identified))
        languages = dict(zip(texts, identified, strict=True))
        absent, english = await self._translate(languages, infer)
        if english:
            screen_text = structs.replace(screen_text, text=english)
        return absent, screen_text

    async def _translate(
        self, languages: Mapping[str, str], infer: Infer
    ) -> tuple[str | None, str | None]:
        """Why texts could not be translated, or None; and their English, if any had to be.

        Args:
            languages: text -> its language.
            infer: calls the translator.
        """
        foreign = {
            text: language
            for text, language in languages.items()
            if language not in (ENGLISH, UNKNOWN)
        }
        if not foreign:
            return None, None
        named = f"the on-screen text is in language {commonest(list(foreign.values()))!r}, which"
        if not self._languages.translates:
            return f"{named} this profile cannot translate", None
        try:
            translated = await self._languages.translate(foreign, infer)
        except Exception as error:
            return f"{named} could not be translated: {error}", None
        texts = dict.fromkeys(translated.get(text, text) for text in languages)
        english = ". ".join(text for text in texts if text)
        return (None if english else f"{named} the translator has no words for"), english

    def _read(self, frames: NDArray[np.uint8]) -> list[DetectedLine]:
        """The lines of all frames, uint8 [16, H, W, 3]; of equal frames in a row, the first's."""
        indices = sorted(set(first_shown(frames)))
        return [line for index in indices for line in self._read_frame(index, frames[index])]

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


def unique_texts(lines: list[DetectedLine]) -> list[str]:
    """The lines' texts, lower-cased, each once, in order."""
    return list(dict.fromkeys(line.text.lower() for line in lines))


def model_screen_text(
    lines: list[DetectedLine], size: tuple[int, ...], language: str
) -> ScreenText:
    """The text as evidence, without sentiment.

    Args:
        lines: at least one.
        size: the frames' height and width.
        language: the text's, or "unknown".
    """
    return ScreenText(
        text=". ".join(unique_texts(lines)),
        language=language,
        lines=tuple(
            TextLine(line.frame, relative_box(line.box, size), line.text, round(line.confidence, 4))
            for line in lines
        ),
        sentiment=None,
    )
