"""What every head shares: the slot's tensors, and the name that it puts into its graph."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from export.options import Random, Weights
from export.spec import Arrays, Tensor, generator
from vemoclap_client.contract import (
    ATTENTION,
    CONTRIBUTIONS,
    EMOTIONS,
    FEATURES,
    FRAME_COUNT,
    LENGTHS,
    MODALITIES,
    PROBABILITIES,
    SEQUENCES,
)

if TYPE_CHECKING:
    import onnx

RANDOM = "random"
"""Kind of a head whose weights are random: its answers mean nothing."""

ROWS = dict.fromkeys(MODALITIES, FRAME_COUNT) | {"speech": 1, "text": 1}
"""Modality -> rows of its padded features."""

OUTPUTS = (
    Tensor(PROBABILITIES, "float32", (len(EMOTIONS),)),
    Tensor(CONTRIBUTIONS, "float32", (len(MODALITIES), len(EMOTIONS))),
    Tensor(ATTENTION, "float32", (len(SEQUENCES), FRAME_COUNT)),
    Tensor("HEAD", "string", (1,)),
)


def inputs(widths: dict[str, int]) -> tuple[Tensor, ...]:
    """Return the slot's inputs for features of these widths (modality -> width)."""
    features = (
        Tensor(FEATURES[modality], "float32", (ROWS[modality], widths[modality]))
        for modality in MODALITIES
    )
    return (*features, Tensor(LENGTHS, "int32", (len(MODALITIES),)))


def examples(widths: dict[str, int]) -> Callable[[int, int], Arrays]:
    """Return a source of features: seeded noise with every modality absent now and then."""

    def draw(batch: int, case: int) -> Arrays:
        random = generator(batch, case)
        arrays: Arrays = {}
        lengths = []
        for modality in MODALITIES:
            rows = ROWS[modality]
            length = random.integers(0, rows + 1, (batch, 1))
            features = random.normal(size=(batch, rows, widths[modality])).astype(np.float32)
            features *= (np.arange(rows) < length)[..., None]
            arrays[FEATURES[modality]] = features
            lengths.append(length)
        arrays[LENGTHS] = np.concatenate(lengths, axis=1).astype(np.int32)
        return arrays

    return draw


def name_in_graph(
    profile: str, kind: str, trained_on: str | None
) -> Callable[[onnx.ModelProto, Weights], None]:
    """Return an edit that adds output HEAD, string [n, 1]: a JSON document, the same every time.

    An answer then names the head that gave it, whatever lies in the folder by then. Random weights
    are called so.
    """

    def edit(model: onnx.ModelProto, weights: Weights) -> None:
        from onnx import TensorProto, helper, numpy_helper

        is_random = isinstance(weights, Random)
        document = json.dumps(
            {
                "profile": profile,
                "kind": RANDOM if is_random else kind,
                "trained_on": None if is_random else trained_on,
            }
        )
        graph = model.graph
        one = numpy_helper.from_array(np.array([1]), "head_columns")
        name = numpy_helper.from_array(np.array([[document]], object), "head_document")
        graph.initializer.extend([one, name])
        graph.node.extend(
            [
                helper.make_node("Shape", [LENGTHS], ["head_batch"], start=0, end=1),
                helper.make_node("Concat", ["head_batch", "head_columns"], ["head_shape"], axis=0),
                helper.make_node("Expand", ["head_document", "head_shape"], ["HEAD"]),
            ]
        )
        graph.output.append(helper.make_tensor_value_info("HEAD", TensorProto.STRING, ["batch", 1]))

    return edit
