"""Other precisions than float32: in the eager network, and in the written ONNX graph."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import torch
from torch import nn

ACTIVATIONS_IN_INT8 = 4
"""ONNX Runtime's `accuracy_level` of that name."""


def halve(network: nn.Module) -> nn.Module:
    """Return a copy that computes in float16, but for the parts in its `FLOAT32_PARTS`."""
    halved = copy.deepcopy(network).half()
    for name in getattr(network, "FLOAT32_PARTS", ()):
        # The original's: halved and widened again, it would keep float16's rounding.
        halved.set_submodule(name, copy.deepcopy(network.get_submodule(name)))
    return halved


def quantise(network: nn.Module) -> nn.Module:
    """Return a copy whose linear layers multiply in int8, for TorchScript on a CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's advice to move to another package of its own
        quantised: nn.Module = torch.ao.quantization.quantize_dynamic(  # type: ignore[no-untyped-call]
            network, {nn.Linear}, dtype=torch.qint8
        )
    return quantised


def quantise_onnx(path: Path) -> None:
    """Make the matrix products of the graph at `path` int8, one scale per output channel.

    What is left beside them is rewritten to cost less (export/rewriting.py).

    The weights have 7 bits, -64 to 64. Activations are unsigned 8-bit numbers, and a processor
    without VNNI adds two products of the two kinds in a signed 16-bit number: with 8-bit weights
    these sums saturate, so the answer would depend on the processor. 2 x 255 x 64 = 32,640 fits.
    """
    import logging

    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from export import rewriting
    from export.graph import DISABLED_OPTIMIZERS, SLOW_ON_PROCESSORS

    model = onnx.load(path)
    rewriting.reorder_gelu(model)
    rewriting.keep_first_token(model)
    model.metadata_props.add(key=DISABLED_OPTIMIZERS, value=SLOW_ON_PROCESSORS)
    onnx.save(model, path)
    # It advises a pre-processing step that only matters for static quantisation.
    logging.getLogger().addFilter(_without_advice)
    try:
        quantize_dynamic(
            path,
            path,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            reduce_range=True,
        )
    finally:
        logging.getLogger().removeFilter(_without_advice)


def quantise_onnx_blocks(path: Path, size: int) -> None:
    """Make the matrix products of the graph at `path` int8, one scale for each block of a row.

    Those of states [N, places, width], which are MatMul; a Gemm, of [N, width], stays in float32.

    The graph takes longer than that of `quantise_onnx`, and is nearer to float32: a value that is
    far larger than the others costs those of its own block alone their digits. Weights have 8 bits:
    ONNX Runtime's kernels for blocks do not saturate (docs/parity.md).

    Args:
        path: the graph, in float32.
        size: values of a block.
    """
    import logging

    import onnx

    from export import rewriting
    from export.graph import DISABLED_OPTIMIZERS, SLOW_ON_PROCESSORS

    # Its import makes every module's notes appear, unless the program has configured logging.
    configured = logging.NullHandler()
    logging.getLogger().addHandler(configured)
    try:
        from onnxruntime.quantization.matmul_nbits_quantizer import (
            DefaultWeightOnlyQuantConfig,
            MatMulNBitsQuantizer,
        )
    finally:
        logging.getLogger().removeHandler(configured)
    model = onnx.load(path)
    rewriting.reorder_gelu(model)
    model.metadata_props.add(key=DISABLED_OPTIMIZERS, value=SLOW_ON_PROCESSORS)
    settings = DefaultWeightOnlyQuantConfig(
        block_size=size, is_symmetric=True, accuracy_level=ACTIVATIONS_IN_INT8, bits=8
    )
    quantiser = MatMulNBitsQuantizer(model, algo_config=settings)
    quantiser.process()
    onnx.save(quantiser.model.model, path)


def _without_advice(record: object) -> bool:
    return "pre-processing" not in str(getattr(record, "msg", ""))
