"""The rewrites before int8: the same answers, and less to compute."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper, parser

from export.rewriting import keep_first_token, reorder_gelu

TOKENS, WIDTH = 5, 4
LAYER = """
<ir_version: 9, opset_import: ["" : 18]>
network (float[n, 5, 4] STATES) => (float[n, 4] FEATURES)
<float half = {0.5}, float one = {1.0}, float root = {1.4142135}, int64 index = {INDEX}>
{
    before = Relu (STATES)
    mixed = Softmax <axis = 1> (before)
    projected = MatMul (mixed, weight)
    residual = Add (projected, before)
    moved = Add (residual, shift)
    divided = Div (moved, root)
    curved = Erf (divided)
    raised = Add (curved, one)
    halved = Mul (half, raised)
    gelu = Mul (moved, halved)
    product = MatMul (gelu, weight)
    states = Add (product, residual)
    FEATURES = Gather <axis = 1> (states, index)
}
"""
"""A transformer's layer but for its attention: `mixed` is what reads the other tokens."""


def layer(shift: tuple[int, ...] = (WIDTH,), index: int = 0) -> ModelProto:
    """The graph with seeded weights; `shift` is a constant's shape, `index` the token read."""
    model = onnx.shape_inference.infer_shapes(
        parser.parse_model(LAYER.replace("INDEX", str(index)))
    )
    noise = np.random.default_rng(0)
    for name, shape in (("weight", (WIDTH, WIDTH)), ("shift", shift)):
        values = noise.standard_normal(shape, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    return onnx.shape_inference.infer_shapes(model)


def answer(model: ModelProto) -> NDArray[np.float32]:
    onnx.checker.check_model(model, full_check=True)
    states = np.random.default_rng(1).standard_normal((2, TOKENS, WIDTH), np.float32)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, {"STATES": states})[0])


def tokens(model: ModelProto, name: str) -> int:
    """How many tokens a value of the graph has."""
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    (info,) = [info for info in inferred if info.name == name]
    return int(info.type.tensor_type.shape.dim[1].dim_value)


def optimised(model: ModelProto, folder: Path) -> set[str]:
    """The operators that ONNX Runtime makes of the graph."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return {node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node}


def test_what_follows_the_mixing_of_tokens_is_computed_for_the_first_token_alone() -> None:
    model, rewritten = layer(), layer()
    keep_first_token(rewritten)
    assert [tokens(model, name) for name in ("mixed", "product", "states")] == [TOKENS] * 3
    assert [tokens(rewritten, name) for name in ("mixed", "product", "states")] == [TOKENS, 1, 1]
    np.testing.assert_allclose(answer(rewritten), answer(model), rtol=1e-5)


@pytest.mark.parametrize(
    ("shift", "index", "narrowed"),
    [((1, 1, WIDTH), 0, True), ((TOKENS, WIDTH), 0, False), ((WIDTH,), 1, False)],
    ids=["the same constant for all", "a constant for each token", "the second token is read"],
)
def test_only_what_is_the_same_for_every_token_is_cut(
    shift: tuple[int, ...], index: int, narrowed: bool
) -> None:
    model, rewritten = layer(shift, index), layer(shift, index)
    keep_first_token(rewritten)
    assert (tokens(rewritten, "residual") == 1) is narrowed
    np.testing.assert_allclose(answer(rewritten), answer(model), rtol=1e-5)


def test_onnx_runtime_recognises_the_reordered_gelu(tmp_path: Path) -> None:
    model, rewritten = layer(), layer()
    reorder_gelu(rewritten)
    np.testing.assert_allclose(answer(rewritten), answer(model), rtol=1e-5)
    assert "Erf" in optimised(model, tmp_path)
    assert "BiasGelu" in optimised(rewritten, tmp_path)
