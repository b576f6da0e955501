"""Rewrites of a written ONNX graph: it answers the same (but for rounding) and computes less."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

ROWWISE = {"Add", "Sub", "Mul", "Div", "Erf", "Sigmoid", "Tanh", "LayerNormalization", "MatMul"}
"""Operators that compute each token's values from the same token's alone."""

STATES_RANK = 3
"""Of states [N, tokens, width]."""

FIRST, SECOND = "first_token", "second_token"


def reorder_gelu(model: onnx.ModelProto) -> None:
    """Make every x * (0.5 * (1 + erf)) an (x * 0.5) * (1 + erf).

    torch writes the former. ONNX Runtime recognises the latter alone as one Gelu, which passes over
    the values once, not five times.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    made_by = {name: node for node in model.graph.node for name in node.output}

    def kind(name: str) -> str:
        return made_by[name].op_type if name in made_by else ""

    for node in model.graph.node:
        if node.op_type != "Mul" or kind(node.input[1]) != "Mul":
            continue
        factor, inner = node.input[0], made_by[node.input[1]]
        half, added = inner.input
        if half in constants and kind(added) == "Add" and kind(made_by[added].input[0]) == "Erf":
            inner.input[:] = [half, factor]
            node.input[:] = [inner.output[0], added]


def keep_first_token(model: onnx.ModelProto) -> None:
    """Compute what follows the last attention for the first token, where no other is read.

    That is the last layer's product behind attention and its two large ones, a sixteenth of a
    network of 12 layers. The nodes stay; the states that they start from are cut to [N, 1, width].
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    ranks = {
        info.name: len(info.type.tensor_type.shape.dim)
        for info in (*graph.value_info, *graph.output)
    }
    readers: defaultdict[str, list[int]] = defaultdict(list)
    for number, node in enumerate(graph.node):
        for name in node.input:
            readers[name].append(number)
    outputs = {info.name for info in graph.output}
    selecting = {n for n, node in enumerate(graph.node) if _selects_first(node, constants, ranks)}
    narrowed: dict[int, NodeProto] = {}
    for number, node in reversed(list(enumerate(graph.node))):
        (output, *_) = node.output
        is_read_so = readers[output] and all(
            reader in selecting or reader in narrowed for reader in readers[output]
        )
        if is_read_so and output not in outputs and _is_rowwise(node, constants, ranks):
            narrowed[number] = node
    if narrowed:
        _cut(graph, list(narrowed.values()), constants)


def _selects_first(
    node: NodeProto, constants: dict[str, TensorProto], ranks: dict[str, int]
) -> bool:
    """Whether it takes token 0 of states."""
    if node.op_type != "Gather" or node.input[1] not in constants:
        return False
    axes = [attribute.i for attribute in node.attribute if attribute.name == "axis"]
    index = numpy_helper.to_array(constants[node.input[1]])
    return axes == [1] and ranks.get(node.input[0]) == STATES_RANK and index.tolist() == 0


def _is_rowwise(node: NodeProto, constants: dict[str, TensorProto], ranks: dict[str, int]) -> bool:
    """Whether it computes each token of its states by itself, with the same constants."""
    if node.op_type not in ROWWISE or len(node.output) != 1:
        return False
    states = [name for name in node.input if name not in constants]
    shapes = [constants[name].dims for name in node.input if name in constants]
    if any(ranks.get(name) != STATES_RANK for name in (*states, *node.output)):
        return False
    if node.op_type == "MatMul":
        return states == [node.input[0]] and len(shapes[0]) == 2
    if node.op_type == "LayerNormalization":
        axes = [attribute.i for attribute in node.attribute if attribute.name == "axis"]
        return states == [node.input[0]] and axes in ([], [-1], [STATES_RANK - 1])
    return all(len(shape) < 2 or shape[-2] == 1 for shape in shapes)


def _cut(graph: onnx.GraphProto, nodes: list[NodeProto], constants: dict[str, TensorProto]) -> None:
    """Give the nodes the first token of the states that other nodes hand them."""
    inside = {node.output[0] for node in nodes}
    entering = {name for node in nodes for name in node.input} - inside - constants.keys()
    for node in nodes:
        node.input[:] = [f"{name}/{FIRST}" if name in entering else name for name in node.input]
    rewritten = []
    for node in graph.node:
        rewritten.append(node)
        rewritten += [
            helper.make_node("Slice", [name, FIRST, SECOND, SECOND], [f"{name}/{FIRST}"])
            for name in node.output
            if name in entering
        ]
    kept = [info for info in graph.value_info if info.name not in inside]
    graph.ClearField("node")
    graph.node.extend(rewritten)
    graph.ClearField("value_info")
    graph.value_info.extend(kept)
    graph.initializer.extend(
        numpy_helper.from_array(np.array([token]), name)
        for token, name in ((0, FIRST), (1, SECOND))
    )
