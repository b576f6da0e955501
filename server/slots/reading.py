"""Frames -> what is written on them, by slots text_detector and text_recognizer."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rapidocr.ch_ppocr_rec.utils import CTCLabelDecode

from server.slots.slot import Infer
from server.slots.text_lines import (
    Image,
    Line,
    cut_all,
    prepare,
    recognizer_input,
)

CONFIDENCE_THRESHOLD = 0.8
"""Without one, the recogniser invents characters in textures; tried on real clips."""
CERTAIN = 0.9
"""What is read with less is read upside down too, and again in the next frame. Upside down, what is
read with less does not count: textures turned round look like other letters."""
SHORTEST_TEXT = 2
LINES_AT_ONCE = 64
"""Of one request; the slot's max_batch_size is no smaller."""

Reading = tuple[str, float]
"""A line's text, and the mean probability of its characters."""


@dataclass(frozen=True)
class DetectedLine:
    """A line of text in one frame; box is x0, y0, x1, y1 in pixels."""

    frame: int
    box: tuple[float, float, float, float]
    text: str
    confidence: float


class TextReader:
    """Reads frames: each that differs from the one before, each line once while it stays."""

    def __init__(self, repository: Path) -> None:
        """Loads the recogniser's characters."""
        file = repository / "text_recognizer" / "1" / "characters.txt"
        self._decoder = CTCLabelDecode(file.read_bytes().decode().splitlines())

    async def read(self, frames: Image, infer: Infer) -> tuple[list[DetectedLine], tuple[int, ...]]:
        """The lines of frames, uint8 [n, H, W, 3]; of equal frames in a row, those of the first.

        Returns:
            The lines, and the indices of the frames that were read.
        """
        pictures, inputs = await asyncio.to_thread(prepare, frames)
        if not pictures:
            return [], ()
        maps = (await infer("text_detector", {"IMAGE": inputs}, ["TEXT"]))["TEXT"]
        lines = await asyncio.to_thread(cut_all, pictures, maps)
        readings = await self._recognize_lines(lines, infer)
        found = [
            DetectedLine(line.frame, line.box, text.strip(), confidence)
            for line, (text, confidence) in zip(lines, readings, strict=True)
            if confidence >= CONFIDENCE_THRESHOLD and len(text.strip()) >= SHORTEST_TEXT
        ]
        return found, tuple(picture.frame for picture in pictures)

    async def _recognize_lines(self, lines: Sequence[Line], infer: Infer) -> list[Reading]:
        """What each line says. Repeats are recognised only where the first was not certain."""
        readings: dict[Line, Reading] = {}

        async def improve(chosen: Sequence[Line], turned: bool = False) -> None:
            images = [np.rot90(line.image, 2) if turned else line.image for line in chosen]
            found = await self._recognize(images, infer)
            for line, reading in zip(chosen, found, strict=True):
                if turned and reading[1] < CERTAIN:
                    continue
                readings[line] = max(readings.get(line, reading), reading, key=lambda r: r[1])

        await improve([line for line in lines if line.same_as is None])
        uncertain = [line for line, reading in readings.items() if reading[1] < CERTAIN]
        await improve(uncertain, turned=True)
        for line in lines:
            if line.same_as is not None:
                readings[line] = readings[line.same_as]
        await improve([line for line in lines if line.same_as and readings[line][1] < CERTAIN])
        return [readings[line] for line in lines]

    async def _recognize(self, images: Sequence[Image], infer: Infer) -> list[Reading]:
        """What upright lines say, in batches of one width."""
        inputs = await asyncio.to_thread(lambda: [recognizer_input(image) for image in images])
        by_width: defaultdict[int, list[int]] = defaultdict(list)
        for index, image in enumerate(inputs):
            by_width[image.shape[1]].append(index)
        batches = [
            indices[start : start + LINES_AT_ONCE]
            for indices in by_width.values()
            for start in range(0, len(indices), LINES_AT_ONCE)
        ]
        readings: dict[int, Reading] = {}

        async def recognize(batch: list[int]) -> None:
            outputs = await infer(
                "text_recognizer",
                {"LINE": np.stack([inputs[index] for index in batch])},
                ["CHARACTER", "PROBABILITY"],
            )
            decoded, _ = self._decoder.decode(
                outputs["CHARACTER"], outputs["PROBABILITY"], remove_duplicate=True
            )
            readings.update(zip(batch, decoded, strict=True))

        await asyncio.gather(*map(recognize, batches))
        return [readings[index] for index in range(len(images))]
