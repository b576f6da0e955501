"""The eager network as an ONNX graph, with the names and sizes that config.pbtxt promises."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch

from export.configuration import VARIES, Configuration
from export.errors import SpecMismatchError
from export.options import Options, Precision
from export.spec import Arrays, Network, Tensor

OPSET = 18
"""Understood by every ONNX Runtime since 1.14, so by every Triton that is still supported."""

TRACED_BATCH = 2
"""A batch of one would be taken for a constant."""

BATCH = "batch"

DISABLED_OPTIMIZERS = "disabled_optimizers"
"""Key in the graph's metadata: the passes of ONNX Runtime that must not run on it, by commas."""

CRASHES_ON_FLOAT16 = "NchwcTransformer"
"""ONNX Runtime 1.32 dies of it (SIGSEGV) on float16 convolutions on a CPU."""

SLOW_ON_PROCESSORS = "SkipLayerNormFusion"
"""ONNX Runtime 1.32's fused operator takes longer on a CPU than the two that it stands for: in
BEATs an eighth of the whole network longer."""


def write(network: Network, eager: torch.nn.Module, path: Path) -> None:
    """Trace the eager network and write it to `path`."""
    for name in ("torch.onnx", "onnxscript"):
        logging.getLogger(name).setLevel(logging.ERROR)
    numeric = [tensor.name for tensor in network.outputs if tensor.dtype != "string"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its own insides
        torch.onnx.export(
            eager,
            arguments(network, network.examples(TRACED_BATCH, 0)),
            path,
            dynamo=True,
            verbose=False,
            external_data=False,
            opset_version=OPSET,
            input_names=[tensor.name for tensor in network.inputs],
            output_names=numeric,
            dynamic_shapes=tuple(_dynamic_axes(tensor) for tensor in network.inputs),
        )


def arguments(network: Network, arrays: Arrays) -> tuple[torch.Tensor, ...]:
    """Return the inputs as tensors, in the order of the network's `forward`."""
    return tuple(torch.from_numpy(arrays[tensor.name]) for tensor in network.inputs)


def _dynamic_axes(tensor: Tensor) -> dict[int, object]:
    varying = [axis for axis, size in enumerate(tensor.dims, start=1) if isinstance(size, str)]
    return dict.fromkeys([0, *varying], torch.export.Dim.DYNAMIC)


def finish(
    slot: str, network: Network, configuration: Configuration, options: Options, path: Path
) -> None:
    """Check the traced graph's names and axes, then declare its sizes as config.pbtxt does.

    Native Triton refuses a size that is -1 in config.pbtxt and fixed in the graph. Which number
    it is, is a matter of the profile: so the graph calls it by a word.

    Raises:
        SpecMismatchError: the graph's names, axes or sizes are not the declared ones.
    """
    model = onnx.load(path)
    if network.finish is not None:
        network.finish(model, options.weights)
    for infos, declared, configured in (
        (model.graph.input, network.inputs, configuration.inputs),
        (model.graph.output, network.outputs, configuration.outputs),
    ):
        _check_names(slot, infos, declared)
        for info, tensor, other in zip(infos, declared, configured, strict=True):
            _check_axes(slot, info, tensor)
            _declare(info, tensor, other)
    if options.precision is Precision.FP16:
        model.metadata_props.add(key=DISABLED_OPTIMIZERS, value=CRASHES_ON_FLOAT16)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _check_names(
    slot: str, infos: Sequence[onnx.ValueInfoProto], tensors: Sequence[Tensor]
) -> None:
    found, wanted = [info.name for info in infos], [tensor.name for tensor in tensors]
    if found != wanted:
        raise SpecMismatchError(f"{slot}: the graph has {found}, declared are {wanted}")


def _check_axes(slot: str, info: onnx.ValueInfoProto, tensor: Tensor) -> None:
    """Check that exactly the axes that may vary are symbolic, and that the others are right."""
    sizes = [None if size.dim_param else size.dim_value for size in info.type.tensor_type.shape.dim]
    wanted = [None, *(None if isinstance(size, str) else size for size in tensor.dims)]
    if sizes != wanted:
        raise SpecMismatchError(
            f"{slot}: {tensor.name} has sizes {sizes} in the graph, declared are {wanted} "
            "(None: varies)"
        )


def _declare(info: onnx.ValueInfoProto, tensor: Tensor, configured: Tensor) -> None:
    sizes: list[int | str] = [BATCH]
    for axis, (size, other) in enumerate(zip(tensor.dims, configured.dims, strict=True), start=1):
        is_open = other == VARIES and not isinstance(size, str)
        sizes.append(f"{tensor.name.lower()}_{axis}" if is_open else size)
    element_type = info.type.tensor_type.elem_type
    info.CopyFrom(onnx.helper.make_tensor_value_info(info.name, element_type, sizes))
