"""A YOLOv5-face detector that the user brings, as the graph of slot `face_detector`.

Source: deepcam-cn/yolov5-face (GPL-3), whose export writes such files: pixels in, one row per
anchor out. We neither ship nor copy it: the file's graph is kept, and what the slot's interface
needs is put before and behind it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.compose import add_prefix

from export.errors import CheckpointError, ParityError
from export.parity import largest_difference
from export.spec import FP32_TOLERANCE

IMAGE_PX = 640
ROW = 16
"""Numbers per anchor: centre and size in pixels, objectness, five landmarks, class."""

OBJECTNESS, CLASS = 4, 15
EXAMPLES = ((1, IMAGE_PX, IMAGE_PX), (3, IMAGE_PX, IMAGE_PX), (2, 360, 480))
"""Batch, height and width of the images that both graphs are compared on."""
INITIALISERS_ARE_NO_INPUTS = 4
"""Since this version of ONNX's file format a constant need not be listed as an input."""

PREFIX = "detector/"
"""Put before every name of the user's graph, so that none can be one of ours."""

CORNERS = np.array(
    [[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]], dtype=np.float32
)
"""(centre x, centre y, width, height) @ this = (x0, y0, x1, y1)."""

CONSTANTS = {
    "white": np.float32(255),
    "geometry": np.arange(4),
    "objectness": np.int64(OBJECTNESS),
    "class": np.int64(CLASS),
    "corners": CORNERS,
    "sides": np.array([2, 3]),
    "whole": np.array([IMAGE_PX, IMAGE_PX]),
    "unpadded": np.zeros(6, np.int64),
}

Boxes = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def compose(source: Path, target: Path) -> None:
    """Write the user's detector with the slot's interface, and check what it answers.

    IMAGE uint8 [n, H, W, 3], RGB, H and W at most 640, which is put at the top left of a black
    square -> BOXES float32 [n, anchors, 4], x0, y0, x1, y1 in pixels, and SCORES float32
    [n, anchors], objectness x class.

    Args:
        source: ONNX file: float32 [n, 3, 640, 640], RGB, 0 to 1 -> float32 [n, anchors, 16].
        target: where to write the graph.

    Raises:
        CheckpointError: it is no such file, its batch is fixed, or it answers what is not a number.
        ParityError: the written graph's boxes are not those of the user's.
    """
    model = _read(source)
    _check_interface(source, model)
    onnx.save(_wrapped(model), target)
    _verify(source, target)


def _read(source: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(source)
        onnx.checker.check_model(model)
    except Exception as error:
        raise CheckpointError(
            f"{source} cannot be read as an ONNX graph: {str(error).splitlines()[0]}"
        ) from error
    return model


def _check_interface(source: Path, model: onnx.ModelProto) -> None:
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [info for info in model.graph.input if info.name not in constants]
    found = [_describe(info) for info in (*inputs, *model.graph.output)]
    image, rows = (None, 3, IMAGE_PX, IMAGE_PX), (None, None, ROW)
    if (
        len(inputs) != 1
        or len(found) != 2
        or not (_fits(found[0], image) and _fits(found[1], rows))
    ):
        raise CheckpointError(
            f"{source} takes {found[: len(inputs)]} and answers {found[len(inputs) :]}; needed is "
            f"float32 [n, 3, {IMAGE_PX}, {IMAGE_PX}] -> float32 [n, anchors, {ROW}], as "
            "YOLOv5-face exports it with one concatenated output."
        )
    if any(sizes[0] is not None for _, sizes in found):
        raise CheckpointError(
            f"{source} takes a fixed batch of {found[0][1][0]}. Export it with an open batch "
            "(YOLOv5-face's export has `--dynamic`)."
        )


def _describe(info: onnx.ValueInfoProto) -> tuple[str, tuple[int | None, ...]]:
    """Return a tensor's type and sizes; None stands for an open one."""
    tensor = info.type.tensor_type
    sizes = (size.dim_value if size.HasField("dim_value") else None for size in tensor.shape.dim)
    return TensorProto.DataType.Name(tensor.elem_type).lower(), tuple(sizes)


def _fits(found: tuple[str, tuple[int | None, ...]], wanted: tuple[int | None, ...]) -> bool:
    kind, sizes = found
    return (
        kind == "float"
        and len(sizes) == len(wanted)
        and all(
            None in (size, other) or size == other
            for size, other in zip(sizes, wanted, strict=True)
        )
    )


def _wrapped(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph between our nodes; of operators that opsets 11 and later share."""
    inner = add_prefix(model, PREFIX)
    inner.ir_version = max(inner.ir_version, INITIALISERS_ARE_NO_INPUTS)
    graph = inner.graph
    constants = {tensor.name for tensor in graph.initializer}
    entry = next(info.name for info in graph.input if info.name not in constants)
    before, behind = _before(entry), _behind(graph.output[0].name)
    nodes = [*before, *graph.node, *behind]
    for field, content in (("node", nodes), ("input", _inputs()), ("output", _outputs())):
        graph.ClearField(field)
        getattr(graph, field).extend(content)
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in CONSTANTS.items()
    )
    onnx.checker.check_model(inner, full_check=True)
    return inner


def _before(entry: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Transpose", ["IMAGE"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["levels", "white"], ["shares"]),
        helper.make_node("Shape", ["shares"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "sides"], ["extent"]),
        helper.make_node("Sub", ["whole", "extent"], ["missing"]),
        helper.make_node("Concat", ["unpadded", "missing"], ["padding"], axis=0),
        helper.make_node("Pad", ["shares", "padding"], [entry]),
    ]


def _behind(rows: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Gather", [rows, "geometry"], ["centres_and_sizes"], axis=2),
        helper.make_node("MatMul", ["centres_and_sizes", "corners"], ["BOXES"]),
        helper.make_node("Gather", [rows, "objectness"], ["is_object"], axis=2),
        helper.make_node("Gather", [rows, "class"], ["is_face"], axis=2),
        helper.make_node("Mul", ["is_object", "is_face"], ["SCORES"]),
    ]


def _inputs() -> list[onnx.ValueInfoProto]:
    sizes = ("batch", "height", "width", 3)
    return [helper.make_tensor_value_info("IMAGE", TensorProto.UINT8, sizes)]


def _outputs() -> list[onnx.ValueInfoProto]:
    """Native Triton wants a size open in the graph that is -1 in config.pbtxt."""
    return [
        helper.make_tensor_value_info("BOXES", TensorProto.FLOAT, ["batch", "boxes", 4]),
        helper.make_tensor_value_info("SCORES", TensorProto.FLOAT, ["batch", "boxes"]),
    ]


def _verify(source: Path, target: Path) -> None:
    """Compare the written graph with the user's, computed on by numpy."""
    for example in EXAMPLES:
        image = np.random.default_rng(example).integers(0, 256, (*example, 3), np.uint8)
        expected = _boxes_of(source, image)
        found = _run(source, target, image)
        for name, ours, theirs in zip(("BOXES", "SCORES"), found, expected, strict=True):
            difference = largest_difference(ours, theirs)
            if difference > FP32_TOLERANCE:
                raise ParityError(
                    f"{target}: {name} differs from what {source} answers by {difference:.1e} of "
                    f"its largest magnitude; allowed is {FP32_TOLERANCE:.0e}"
                )


def _boxes_of(source: Path, image: npt.NDArray[np.uint8]) -> Boxes:
    pixels = np.zeros((len(image), 3, IMAGE_PX, IMAGE_PX), np.float32)
    height, width = image.shape[1:3]
    pixels[..., :height, :width] = image.transpose(0, 3, 1, 2) / np.float32(255)
    (rows,) = _run(source, source, pixels)
    if rows.shape[0] != len(image) or rows.shape[2:] != (ROW,):
        raise CheckpointError(
            f"{source} answers shape {rows.shape} to a batch of {len(image)}: its batch is fixed "
            "inside the graph."
        )
    if not np.isfinite(rows).all():
        raise CheckpointError(f"{source} answers boxes or scores that are not numbers.")
    centres, halves = rows[..., :2], rows[..., 2:4] / 2
    boxes = np.concatenate([centres - halves, centres + halves], axis=2)
    return boxes, rows[..., OBJECTNESS] * rows[..., CLASS]


def _run(
    source: Path, path: Path, image: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
) -> list[npt.NDArray[np.float32]]:
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        answers: list[npt.NDArray[np.float32]] = session.run(
            None, {session.get_inputs()[0].name: image}
        )
    except Exception as error:
        raise CheckpointError(
            f"{source} does not run on a batch of {len(image)}: {str(error).splitlines()[0]}"
        ) from error
    return answers
