"""Nothing but sad words: text cards without a face and without a sound track."""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from export.samples.writing import FRAMES_PER_S, HEIGHT_PX, WIDTH_PX, draw_centred, write

CARDS = ("She died last winter.", "I miss her so much\nand I cry every night.")
CARD_S = 3
TOP_RGB, BOTTOM_RGB = (70, 80, 110), (15, 15, 25)


def render(path: Path) -> None:
    """Write the clip to a path that ends in .mp4."""
    write(path, _frames())


def _frames() -> Iterator[Image.Image]:
    for text in CARDS:
        card = _gradient()
        draw_centred(card, text, middle_y_px=HEIGHT_PX // 2, size_px=44)
        for _ in range(CARD_S * FRAMES_PER_S):
            yield card


def _gradient() -> Image.Image:
    ramp = Image.linear_gradient("L").resize((WIDTH_PX, HEIGHT_PX))
    size = (WIDTH_PX, HEIGHT_PX)
    return Image.composite(
        Image.new("RGB", size, BOTTOM_RGB), Image.new("RGB", size, TOP_RGB), ramp
    )
