"""Slot `face_detector`: a letterboxed frame -> candidate boxes and their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.spec import Arrays, Builder, Files, Network, Slot, Tensor, generator

if TYPE_CHECKING:
    from export.networks.single_shot_detector import FaceDetector

IMAGE_PX = 640
ANCHORS = 5118


def load(files: Files) -> FaceDetector:
    """Return face-api's detector in evaluation mode."""
    from export.networks import single_shot_detector, tensorflow_js

    weights = tensorflow_js.load(files["face_detector_layout"], files["face_detector_weights"])
    network = single_shot_detector.FaceDetector()
    network.load_state_dict(single_shot_detector.state_from(weights))
    return network.eval()


def examples(batch: int, case: int) -> Arrays:
    """Return noise in large and small patches: uint8 [batch, 640, 640, 3]."""
    patches = generator(batch, case).integers(0, 256, (batch, 40, 40, 3), "uint8")
    return {"IMAGE": patches.repeat(16, axis=1).repeat(16, axis=2)}


PRETRAINED = Builder(network=load, artifacts=("face_detector_layout", "face_detector_weights"))

SLOT = Slot(
    name="face_detector",
    module=__name__,
    network=Network(
        inputs=(Tensor("IMAGE", "uint8", (IMAGE_PX, IMAGE_PX, 3)),),
        outputs=(
            Tensor("BOXES", "float32", (ANCHORS, 4)),
            Tensor("SCORES", "float32", (ANCHORS,)),
        ),
        examples=examples,
    ),
    pretrained=PRETRAINED,
)
