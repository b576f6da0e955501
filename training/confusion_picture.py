"""Draws a confusion matrix, as Figure 2 of VEMOCLAP's paper shows one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.metrics import Floats
from vemoclap_client import files
from vemoclap_client.contract import EMOTIONS

CELL_PX = 96
LEFT_PX, TOP_PX, RIGHT_PX, BOTTOM_PX = 150, 24, 24, 84
TEXT_PX = 20
CAPTION_PX, LINE_PX = 15, 22
LIGHT, DARK = (247, 251, 255), (8, 48, 107)
BLACK, WHITE, EMPTY = (0, 0, 0), (255, 255, 255), (224, 224, 224)


def write(path: Path, shares: Floats, caption: str = "") -> None:
    """Write a PNG: true emotions downwards, answers to the right, the darker the more.

    Args:
        path: where to.
        shares: float64 [6, 6], of each row; a row of NaN, an emotion without clips, is grey.
        caption: lines below it.

    Raises:
        OutputError: the disk is full.
    """
    side = CELL_PX * len(EMOTIONS)
    lines = caption.splitlines()
    height = TOP_PX + side + BOTTOM_PX + len(lines) * LINE_PX
    image = Image.new("RGB", (LEFT_PX + side + RIGHT_PX, height), WHITE)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(TEXT_PX)
    for row, column in np.ndindex(shares.shape):
        _cell(draw, font, row, column, float(shares[row, column]))
    for index, emotion in enumerate(EMOTIONS):
        middle = index * CELL_PX + CELL_PX // 2
        draw.text((LEFT_PX - 8, TOP_PX + middle), emotion, BLACK, font, "rm")
        draw.text((LEFT_PX + middle, TOP_PX + side + 8), emotion, BLACK, font, "ma")
    draw.text((LEFT_PX + side // 2, TOP_PX + side + BOTTOM_PX - 12), "predicted", BLACK, font, "ms")
    small = ImageFont.load_default(CAPTION_PX)
    for number, line in enumerate(lines):
        top = TOP_PX + side + BOTTOM_PX + number * LINE_PX
        draw.text((image.width // 2, top), line, BLACK, small, "ma")
    image.paste(_upwards("true", font, side), (8, TOP_PX))
    files.write(path, lambda file: image.save(file, "PNG"))


def colour(share: float) -> tuple[int, int, int]:
    """Return the colour of a share, 0 to 1."""
    if np.isnan(share):
        return EMPTY
    red, green, blue = (
        round(low + share * (high - low)) for low, high in zip(LIGHT, DARK, strict=True)
    )
    return red, green, blue


def _cell(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    row: int,
    column: int,
    share: float,
) -> None:
    left, top = LEFT_PX + column * CELL_PX, TOP_PX + row * CELL_PX
    draw.rectangle((left, top, left + CELL_PX - 1, top + CELL_PX - 1), colour(share), WHITE)
    text = "" if np.isnan(share) else f"{share:.2f}"
    ink = WHITE if share > 0.5 else BLACK
    draw.text((left + CELL_PX // 2, top + CELL_PX // 2), text, ink, font, "mm")


def _upwards(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, length: int
) -> Image.Image:
    """A line of text, turned to be read from below."""
    line = Image.new("RGB", (length, TEXT_PX + 8), WHITE)
    ImageDraw.Draw(line).text((length // 2, TEXT_PX // 2 + 4), text, BLACK, font, "mm")
    return line.transpose(Image.Transpose.ROTATE_90)
