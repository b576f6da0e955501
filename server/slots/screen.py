"""Slot screen_reader: frames -> on-screen text with boxes and language -> text features.

Source: VEMOCLAP reads every frame.
"""

import time
from pathlib import Path

from server.slots.frames import relative_box, unusable
from server.slots.reading import DetectedLine, TextReader
from server.slots.screen_text import EncodedTexts, ScreenTextEncoder
from server.slots.slot import CPU, Device, Infer, Tensors, analyzer_outputs, elapsed_ms
from server.slots.text import TextEncoder
from vemoclap_client.analysis import ScreenText, TextEvidence, TextLine
from vemoclap_client.contract import NO_TEXT


class ScreenReader:
    """FRAMES uint8 [16, H, W, 3] -> FEATURES [1, width], LENGTH, EVIDENCE (TextEvidence)."""

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Loads the recogniser's characters and the text encoder's tokenizer."""
        repository = version_directory.parent.parent
        self._reader = TextReader(repository)
        self._text = TextEncoder(repository)
        self._texts = ScreenTextEncoder(repository, self._text)

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Reads one clip's frames and encodes their text."""
        rows = await self._text.width.no_rows(infer)
        started = time.perf_counter()
        frames = inputs["FRAMES"]
        absent, screen_text = unusable(frames), None
        lines, frames_read = ([], ()) if absent else await self._reader.read(frames, infer)
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
