"""Slot `face_detector`: a frame -> candidate boxes and their scores.

The authors' detector, a YOLOv5m-face, is under a licence that we cannot pass on. So the profile
takes CenterFace (MIT), or a YOLOv5-face in ONNX that the user brings.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from export.options import Format, Precision
from export.slots.face_detector import NETWORK, PRETRAINED, write_input
from export.spec import Builder, Slot, seeded
from server.slots.detector import DetectorInput

if TYPE_CHECKING:
    from export.networks.center_face import FaceDetector

YOLO_FACE = DetectorInput(longer_side_px=640, multiple_px=1, confidence=0.6)
"""Its graph pads every image to 640 x 640; the confidence is VEMOCLAP's."""


def random() -> FaceDetector:
    """Return the same architecture with random weights, in evaluation mode.

    It finds one face in each frame, the frame itself: so the work behind it is that of a clip with
    one face in view.
    """
    from export.networks import center_face

    network = center_face.FaceDetector()
    center_face.see_whole_frames(network)
    return network.eval()


def compose(source: Path, target: Path) -> None:
    """Write the graph of a YOLOv5-face that the user brings in ONNX.

    Raises:
        CheckpointError: it is no such file, or its batch is fixed.
    """
    from export.networks import yolo_face

    yolo_face.compose(source, target)


def write_yolo_input(source: Path, folder: Path) -> None:
    """Write what a YOLOv5-face takes, for face_analyzer."""
    YOLO_FACE.write(folder)


SLOT = Slot(
    name="face_detector",
    module=__name__,
    network=replace(
        NETWORK,
        formats=(Format.ONNX, Format.TORCHSCRIPT),
        # It has no matrix products, which alone are computed in int8.
        precisions=(Precision.FP32, Precision.FP16),
    ),
    pretrained=PRETRAINED,
    random=Builder(network=seeded(random), write=write_input),
    checkpoint=Builder(graph=compose, write=write_yolo_input),
)
