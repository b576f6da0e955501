"""The eager network as TorchScript, for Triton's pytorch backend, on any device."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from export.graph import TRACED_BATCH, arguments
from export.spec import Network


def write(network: Network, eager: torch.nn.Module, path: Path) -> None:
    """Trace the eager network, fold its constants, and write it to `path`.

    Inputs and outputs have no names here: the backend takes them in the order of config.pbtxt.
    """
    with warnings.catch_warnings(), torch.inference_mode(mode=False), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's own, about tracing and its successors
        example = arguments(network, network.examples(TRACED_BATCH, 0))
        traced = torch.jit.trace(eager, example, check_trace=False)  # type: ignore[no-untyped-call]
        frozen = torch.jit.freeze(traced)
        _follow_the_input(frozen.graph)
        # Into an open file: given a path, torch ends the whole process when the disk is full.
        with path.open("wb") as file:
            torch.jit.save(frozen, file)


def _follow_the_input(graph: Any) -> None:
    """Replace the device that tracing has written down by that of the first input.

    A tensor made inside `forward` would otherwise stay on the CPU when the model is served on a
    GPU.
    """
    first = next(value for value in graph.inputs() if value.type().kind() == "TensorType")
    constants = graph.findAllNodes("prim::Constant", recurse=True)
    devices = [
        node.output() for node in constants if node.output().type().kind() == "DeviceObjType"
    ]
    if not devices:
        return
    node = graph.create("prim::device", [first], 1)
    graph.prependNode(node)
    node.output().setType(torch._C.DeviceObjType.get())
    for value in devices:
        value.replaceAllUsesWith(node.output())
