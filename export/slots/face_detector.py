"""Slot `face_detector`: a frame -> candidate boxes and their scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from export.spec import Arrays, Builder, Files, Network, Slot, Tensor, generator
from server.slots.detector import DetectorInput

if TYPE_CHECKING:
    from export.networks.center_face import FaceDetector

CENTER_FACE = DetectorInput(longer_side_px=416, multiple_px=32, confidence=0.45)
"""The cheapest that finds no fewer faces on any clip than the detector before it, and nothing that
is none: docs/faces.md."""

PATCHES = ((8, 13), (10, 5))
"""Rows and columns of the examples' patches, of 32 pixels a side: a clip's usual shape, another."""


def load(files: Files) -> FaceDetector:
    """Return CenterFace in evaluation mode."""
    from export.networks import center_face

    network = center_face.FaceDetector()
    network.load_state_dict(center_face.state_from(files["face_detector_weights"]))
    return network.eval()


def write_input(source: object, folder: Path) -> None:
    """Write what CenterFace takes, for face_analyzer."""
    CENTER_FACE.write(folder)


def examples(batch: int, case: int) -> Arrays:
    """Return noise in large and small patches: uint8 [batch, height, width, 3]."""
    rows, columns = PATCHES[case]
    shape = (batch, 2 * rows, 2 * columns, 3)
    patches = generator(batch, case).integers(0, 256, shape, "uint8")
    return {"IMAGE": patches.repeat(16, axis=1).repeat(16, axis=2)}


PRETRAINED = Builder(network=load, write=write_input, artifacts=("face_detector_weights",))

NETWORK = Network(
    inputs=(Tensor("IMAGE", "uint8", ("height", "width", 3)),),
    outputs=(Tensor("BOXES", "float32", ("boxes", 4)), Tensor("SCORES", "float32", ("boxes",))),
    examples=examples,
    cases=len(PATCHES),
)

SLOT = Slot(name="face_detector", module=__name__, network=NETWORK, pretrained=PRETRAINED)
