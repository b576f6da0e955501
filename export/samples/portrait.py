"""A face, a voice and a caption: a portrait slowly zoomed into, over a reading of Dickens."""

import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from export.samples.writing import (
    FRAMES_PER_S,
    HEIGHT_PX,
    WIDTH_PX,
    Sound,
    draw_centred,
    write,
)

DURATION_S = 12
CAPTION = "It was the best of times"
FACE_PX = (223.0, 125.0)
"""Middle of the face in the portrait of 512 x 512."""

CROP_WIDTHS_PX = (440.0, 280.0)
"""What the first and the last frame show of the portrait's width."""


def render(portrait: Path, speech: Path, path: Path) -> None:
    """Write the clip.

    Args:
        portrait: picture of 512 x 512.
        speech: WAV file, mono, 16 bits.
        path: where to; ends in .mp4.
    """
    with Image.open(portrait) as picture:
        write(path, _frames(picture.convert("RGB")), _beginning(speech))


def _frames(picture: Image.Image) -> Iterator[Image.Image]:
    widths_px = np.linspace(*CROP_WIDTHS_PX, DURATION_S * FRAMES_PER_S)
    for width_px in widths_px:
        box = _box(float(width_px))
        frame = picture.resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.BICUBIC, box)
        draw_centred(frame, CAPTION, middle_y_px=HEIGHT_PX - 40, size_px=36)
        yield frame


def _box(width_px: float) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a crop around the face, inside the portrait."""
    height_px = width_px * HEIGHT_PX / WIDTH_PX
    left = max(FACE_PX[0] - width_px / 2, 0)
    top = max(FACE_PX[1] - height_px / 2, 0)
    return left, top, left + width_px, top + height_px


def _beginning(speech: Path) -> Sound:
    with wave.open(str(speech)) as file:
        rate_hz = file.getframerate()
        content = file.readframes(DURATION_S * rate_hz)
    return np.frombuffer(content, np.int16), rate_hz
