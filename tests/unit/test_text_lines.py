"""Frames that are read, lines that are cut out, and those that are not read again."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from server.slots import text_lines
from server.slots.reading import CONFIDENCE_THRESHOLD, DetectedLine, TextReader
from server.slots.slot import Tensors
from server.slots.text_lines import LINE_WIDTHS_PX, looks_same

Picture = NDArray[np.uint8]
NOISE = np.random.default_rng(0)
LINE_BOX = (100, 300, 420, 332)
"""x0, y0, x1, y1 of the line that the fake detector finds."""


def written(text: str, *, size: int = 26, stroke: int = 2, noise: int = 0) -> Picture:
    """A cut line on grey, or on noise of some grey levels, new each time."""
    font = ImageFont.load_default(size)
    shape = (round(1.5 * size), int(font.getlength(text)) + 16, 3)
    image = Image.fromarray(NOISE.integers(60 - noise, 61 + noise, shape, np.uint8))
    ImageDraw.Draw(image).text(
        (8, 4), text, fill="white", font=font, stroke_width=stroke, stroke_fill="black"
    )
    return np.asarray(image)


@pytest.mark.parametrize("noise", [8, 30])
@pytest.mark.parametrize("size", [18, 26, 40])
def test_the_same_words_are_known_again_whatever_moves_behind_them(size: int, noise: int) -> None:
    first, second = (written("I hate you so much", size=size, noise=noise) for _ in range(2))
    assert looks_same(first, second)


@pytest.mark.parametrize("stroke", [0, 2])
@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("I hate you", "I have you"),
        ("We won 3 to 0", "We won 3 to 8"),
        ("The time is 6:00", "The time is 8:00"),
        ("He lies here", "He lied here"),
        ("I can do it now.", "I can do it now,"),
        ("Are you happy!", "Are you happy?"),
    ],
)
def test_one_other_letter_is_another_line(text: str, other: str, stroke: int) -> None:
    first, second = (written(line, stroke=stroke) for line in (text, other))
    width = min(first.shape[1], second.shape[1])
    assert not looks_same(first[:, :width], second[:, :width])


def test_a_line_is_padded_to_a_width_that_others_have_too() -> None:
    line = text_lines.recognizer_input(np.zeros((20, 100, 3), np.uint8))
    assert line.shape == (48, 256, 3)
    assert (line[:, :240] == 0).all()
    assert (line[:, 240:] == text_lines.PADDING).all()


def test_an_endless_line_is_squeezed() -> None:
    line = text_lines.recognizer_input(np.zeros((20, 2000, 3), np.uint8))
    assert line.shape == (48, LINE_WIDTHS_PX[-1], 3)


class Slots:
    """A detector that finds one line in every frame, and a recogniser that counts its lines.

    Args:
        readings: text and probability of each line that is recognised, in order.
    """

    def __init__(self, *readings: tuple[str, float]) -> None:
        self.readings = list(readings)
        self.lines: list[Picture] = []

    async def __call__(
        self, slot: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> Tensors:
        if slot == "text_detector":
            found = np.zeros(inputs["IMAGE"].shape[:3], np.uint8)
            x0, y0, x1, y1 = LINE_BOX
            # The detector marks a line's core; boxes are made larger.
            found[:, y0 + 9 : y1 - 9, x0 + 9 : x1 - 9] = 255
            return {"TEXT": found}
        lines = list(inputs["LINE"])
        places = lines[0].shape[1] // 8
        characters = np.zeros((len(lines), places), np.int32)
        probabilities = np.ones((len(lines), places), np.float32)
        for row, line in enumerate(lines):
            text, probability = self.readings[len(self.lines)]
            self.lines.append(line)
            characters[row, : len(text)] = [ord(letter) - ord("a") + 1 for letter in text]
            probabilities[row] = probability
        return {"CHARACTER": characters, "PROBABILITY": probabilities}


@pytest.fixture
def reader(tmp_path: Path) -> TextReader:
    """A reader of the letters a to z."""
    folder = tmp_path / "text_recognizer" / "1"
    folder.mkdir(parents=True)
    (folder / "characters.txt").write_text("\n".join(map(chr, range(ord("a"), ord("z") + 1))))
    return TextReader(tmp_path)


def frames(*texts: str) -> Picture:
    """Frames [n, 352, 640, 3] of noise, each with a text where the detector finds one."""
    # The same in every test: whether lines look the same must not depend on the tests before.
    noise = np.random.default_rng(0)
    drawn = []
    for text in texts:
        patches = noise.integers(45, 76, (11, 20, 3), np.uint8)
        image = Image.fromarray(patches.repeat(32, 0).repeat(32, 1))
        font = ImageFont.load_default(26)
        place = LINE_BOX[0] + 10, LINE_BOX[1]
        ImageDraw.Draw(image).text(place, text, "white", font, stroke_width=2, stroke_fill="black")
        drawn.append(np.asarray(image))
    return np.stack(drawn)


def read(reader: TextReader, pictures: Picture, slots: Slots) -> list[DetectedLine]:
    return asyncio.run(reader.read(pictures, slots))[0]


def test_a_line_that_stays_on_a_moving_picture_is_recognised_once(reader: TextReader) -> None:
    slots = Slots(("hate", 0.99), ("love", 0.98))
    shown = frames("I hate you so much", "I hate you so much", "I love you so much")
    lines = read(reader, shown, slots)
    assert [(line.frame, line.text) for line in lines] == [(0, "hate"), (1, "hate"), (2, "love")]
    assert len(slots.lines) == 2
    assert lines[0].box == pytest.approx(LINE_BOX, abs=12)


def test_what_is_read_without_certainty_is_read_upside_down_and_again(reader: TextReader) -> None:
    shown = frames("I hate you so much", "I hate you so much")
    slots = Slots(("hat", 0.85), ("yey", 0.89), ("hate", 0.88))
    assert [line.text for line in read(reader, shown, slots)] == ["hat", "hate"]
    width = next(x for x in range(640) if (slots.lines[0][:, x:] == text_lines.PADDING).all())
    assert (slots.lines[1][:, :width] == np.rot90(slots.lines[0][:, :width], 2)).mean() > 0.9


def test_upside_down_counts_what_is_certain(reader: TextReader) -> None:
    slots = Slots(("yey", 0.85), ("hate", 0.97))
    assert [line.text for line in read(reader, frames("I hate you so much"), slots)] == ["hate"]


def test_lines_below_the_threshold_are_left_out(reader: TextReader) -> None:
    low = CONFIDENCE_THRESHOLD - 0.01
    assert read(reader, frames("I hate you so much"), Slots(("hate", low), ("yey", low))) == []


@pytest.mark.parametrize(("size", "expected"), [((3000, 8), ()), ((8, 3000), ()), ((8, 8), (0,))])
def test_frames_too_narrow_for_text_are_not_read(
    reader: TextReader, size: tuple[int, int], expected: tuple[int, ...]
) -> None:
    lines, frames_read = asyncio.run(reader.read(np.zeros((2, *size, 3), np.uint8), Slots()))
    assert (lines, frames_read) == ([], expected)
