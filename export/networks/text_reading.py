"""PP-OCR's networks as graphs of the slots `text_detector` and `text_recognizer`.

They come as ONNX files. Each file's graph is kept; what the slot's interface needs is put before
and behind it: pixels in, and of the recogniser's 18,710 characters only the best of each place out.

Source: PaddleOCR (Apache-2.0), whose networks take blue, green, red as (value / 255 - 0.5) / 0.5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from onnx.compose import add_prefix

from export.parity import Answer, open_session
from export.spec import Arrays, Network, Tensor

PREFIX = "network/"
"""Put before every name of the original graph, so that none can be one of ours."""

CHARACTERS = "character"
"""Key in the recogniser's metadata: its characters, one a line; the first has index 1."""

CONSTANTS = {
    "blue_green_red": np.array([2, 1, 0]),
    "half": np.float32(127.5),
    "one": np.float32(1),
    "white": np.float32(255),
}
TYPES = {"uint8": TensorProto.UINT8, "int32": TensorProto.INT32, "float32": TensorProto.FLOAT}


def write_detector(source: Path, target: Path, network: Network) -> None:
    """Write the detector: IMAGE uint8 [n, H, W, 3], RGB -> TEXT uint8 [n, H, W], probability x 255.

    Args:
        source: ONNX file: float32 [n, 3, H, W] -> float32 [n, 1, H, W].
        target: where to write the graph.
        network: the slot's interface.
    """

    def behind(probabilities: str) -> list[NodeProto]:
        return [
            helper.make_node("Squeeze", [probabilities], ["plane"], axes=[1]),
            helper.make_node("Mul", ["plane", "white"], ["levels"]),
            helper.make_node("Round", ["levels"], ["whole_levels"]),
            helper.make_node("Cast", ["whole_levels"], ["TEXT"], to=TensorProto.UINT8),
        ]

    _write(source, target, network, behind)


def write_recognizer(source: Path, target: Path, network: Network) -> None:
    """Write the recogniser: LINE uint8 [n, 48, W, 3], RGB -> the best CHARACTER of each place.

    CHARACTER is int32 [n, W / 8], 0 for none; its PROBABILITY float32 [n, W / 8].

    Args:
        source: ONNX file: float32 [n, 3, 48, W] -> float32 [n, W / 8, characters].
        target: where to write the graph.
        network: the slot's interface.
    """

    def behind(probabilities: str) -> list[NodeProto]:
        return [
            helper.make_node("ArgMax", [probabilities], ["best"], axis=2, keepdims=0),
            helper.make_node("Cast", ["best"], ["CHARACTER"], to=TensorProto.INT32),
            helper.make_node("ReduceMax", [probabilities], ["PROBABILITY"], axes=[2], keepdims=0),
        ]

    _write(source, target, network, behind)


def detector(source: Path) -> Answer:
    """Return what the original detector answers, in the slot's terms."""
    run = _original(source)

    def answer(inputs: Arrays) -> Arrays:
        return {"TEXT": np.rint(run(inputs["IMAGE"])[:, 0] * np.float32(255))}

    return answer


def recognizer(source: Path) -> Answer:
    """Return what the original recogniser answers, in the slot's terms."""
    run = _original(source)

    def answer(inputs: Arrays) -> Arrays:
        probabilities = run(inputs["LINE"])
        return {
            "CHARACTER": probabilities.argmax(axis=2),
            "PROBABILITY": probabilities.max(axis=2),
        }

    return answer


def characters(source: Path) -> str:
    """Return the recogniser's characters, one a line."""
    return {entry.key: entry.value for entry in onnx.load(source).metadata_props}[CHARACTERS]


def _original(
    source: Path,
) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]:
    """The original graph, on uint8 [n, H, W, 3], RGB."""
    session = open_session(source)
    name = session.get_inputs()[0].name

    def run(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        scaled = (pixels[..., ::-1].transpose(0, 3, 1, 2) / np.float32(255) - 0.5) / 0.5
        (answer,) = session.run(None, {name: scaled.astype(np.float32)})
        return np.asarray(answer)

    return run


def _write(
    source: Path, target: Path, network: Network, behind: Callable[[str], list[NodeProto]]
) -> None:
    """Write the original graph between our nodes; of operators as opset 11 has them."""
    model = add_prefix(onnx.load(source), PREFIX)
    graph = model.graph
    before = _before(network.inputs[0].name, graph.input[0].name)
    nodes = [*before, *graph.node, *behind(graph.output[0].name)]
    fields: dict[str, Sequence[object]] = {
        "node": nodes,
        "input": _infos(network.inputs),
        "output": _infos(network.outputs),
        "value_info": [],
    }
    for field, content in fields.items():
        graph.ClearField(field)
        getattr(graph, field).extend(content)
    read = {name for node in nodes for name in node.input}
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in CONSTANTS.items()
        if name in read
    )
    model.ClearField("metadata_props")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


def _before(pixels: str, entry: str) -> list[NodeProto]:
    return [
        helper.make_node("Transpose", [pixels], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Gather", ["planes", "blue_green_red"], ["turned"], axis=1),
        helper.make_node("Cast", ["turned"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["numbers", "half"], ["positive"]),
        helper.make_node("Sub", ["positive", "one"], [entry]),
    ]


def _infos(tensors: Sequence[Tensor]) -> list[ValueInfoProto]:
    return [
        helper.make_tensor_value_info(tensor.name, TYPES[tensor.dtype], ("batch", *tensor.dims))
        for tensor in tensors
    ]
