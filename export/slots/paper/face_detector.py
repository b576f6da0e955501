"""Slot `face_detector`: a letterboxed frame -> candidate boxes and their scores.

The authors' detector, a YOLOv5m-face, is under a licence that we cannot pass on. So the profile
takes face-api's (MIT), or a YOLOv5-face in ONNX that the user brings.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from export.options import Format, Precision
from export.slots.face_detector import ANCHORS, IMAGE_PX, PRETRAINED, examples
from export.spec import Builder, Network, Slot, Tensor, seeded

if TYPE_CHECKING:
    from export.networks.single_shot_detector import FaceDetector


def random() -> FaceDetector:
    """Return the same architecture with random weights and plain anchors, in evaluation mode."""
    from export.networks import single_shot_detector

    network = single_shot_detector.FaceDetector()
    network.anchors.copy_(single_shot_detector.grid_anchors())
    return network.eval()


def compose(source: Path, target: Path) -> None:
    """Write the graph of a YOLOv5-face that the user brings in ONNX.

    Raises:
        CheckpointError: it is no such file, or its batch is fixed.
    """
    from export.networks import yolo_face

    yolo_face.compose(source, target)


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
        formats=(Format.ONNX, Format.TORCHSCRIPT),
        # It has no matrix products, which alone are computed in int8.
        precisions=(Precision.FP32, Precision.FP16),
    ),
    pretrained=PRETRAINED,
    random=Builder(network=seeded(random)),
    checkpoint=Builder(graph=compose),
)
