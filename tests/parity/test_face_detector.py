"""The paper profile's face detector: its random form, and a YOLOv5-face that the user brings."""

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, parser, save

from export import parity
from export.errors import CheckpointError
from export.networks import yolo_face
from export.slots.face_detector import ANCHORS
from export.slots.paper import face_detector

pytestmark = pytest.mark.parity


def test_random_anchors_cover_the_image() -> None:
    anchors = face_detector.random().anchors[0]
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert anchors.shape == (ANCHORS, 4)
    assert (anchors[:, 2:] > anchors[:, :2]).all()
    assert (centres.amin(0) < 0.02).all() and (centres.amax(0) > 0.98).all()


def detector(
    batch: int | str = "n", width: int = 16, inner_batch: int = 0, last: str = ""
) -> ModelProto:
    """A graph with the inputs and outputs of a YOLOv5-face, whose rows are means of pixels."""
    return parser.parse_model(f"""
        <ir_version: 7, opset_import: ["": 12]>
        detector (float[{batch}, 3, 640, 640] IMAGE) => (float[{batch}, 24, {width}] output)
        <int64[3] shape = {{{inner_batch}, 24, {width}}}, float zero = {{0}}>
        {{
            pooled = AveragePool<kernel_shape = [40, {1280 // width}],
                                 strides = [40, {1280 // width}]>(IMAGE)
            rows = Reshape(pooled, shape)
            {last or "output = Identity(rows)"}
        }}""")


def test_a_detector_that_the_user_brings_gets_the_slots_interface(tmp_path: Path) -> None:
    save(detector(), tmp_path / "brought.onnx")
    yolo_face.compose(tmp_path / "brought.onnx", tmp_path / "model.onnx")
    session = parity.open_session(tmp_path / "model.onnx")
    image = np.random.default_rng(0).integers(0, 256, (3, 640, 640, 3), np.uint8)
    image[:, :320] //= 3
    boxes, scores = session.run(["BOXES", "SCORES"], {"IMAGE": image})
    means = image.reshape(3, 16, 40, 8, 80, 3).mean((2, 4)) / 255
    rows = means.transpose(0, 3, 1, 2).reshape(3, 24, 16)
    corners = [rows[..., :2] - rows[..., 2:4] / 2, rows[..., :2] + rows[..., 2:4] / 2]
    np.testing.assert_allclose(boxes, np.concatenate(corners, 2), atol=1e-5)
    np.testing.assert_allclose(scores, rows[..., 4] * rows[..., 15], atol=1e-5)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (detector(batch=1), "fixed batch of 1.*--dynamic"),
        (detector(width=32), r"needed is float32 \[n, 3, 640, 640\] -> float32 \[n, anchors, 16\]"),
        (detector(inner_batch=1), "does not run on a batch of 3"),
        (detector(last="output = Div(rows, zero)"), "not numbers"),
    ],
)
def test_a_detector_that_does_not_fit_is_refused(
    model: ModelProto, message: str, tmp_path: Path
) -> None:
    save(model, tmp_path / "brought.onnx")
    with pytest.raises(CheckpointError, match=message):
        yolo_face.compose(tmp_path / "brought.onnx", tmp_path / "model.onnx")


def test_a_detector_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"PK not a graph")
    with pytest.raises(CheckpointError, match="cannot be read as an ONNX graph"):
        yolo_face.compose(tmp_path / "weights.pt", tmp_path / "model.onnx")
