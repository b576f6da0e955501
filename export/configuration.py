"""Reads a slot's config.pbtxt, and compares it with what the slot declares."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.errors import SpecMismatchError
from export.spec import Network, Tensor

REPOSITORY = Path(__file__).parents[1] / "model_repository"
CONFIG = "config.pbtxt"

NUMPY_NAMES = {
    "TYPE_FP32": "float32",
    "TYPE_INT32": "int32",
    "TYPE_INT64": "int64",
    "TYPE_UINT8": "uint8",
    "TYPE_STRING": "string",
}

VARIES = -1
"""A size that config.pbtxt leaves open."""


@dataclass(frozen=True)
class Configuration:
    """Names, numpy's names of the types, and sizes without the batch, as Triton is told them."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def read(path: Path) -> Configuration:
    """Parse a config.pbtxt.

    Raises:
        server.errors.ModelLoadError: it is not a Triton model configuration.
    """
    from server.repository import read_config

    config = read_config(path)
    return Configuration(*(tuple(map(_tensor, group)) for group in (config.input, config.output)))


def _tensor(declared: Any) -> Tensor:
    from tritonclient.grpc import model_config_pb2

    type_name = model_config_pb2.DataType.Name(declared.data_type)
    return Tensor(declared.name, NUMPY_NAMES[type_name], tuple(declared.dims))


def check(slot: str, network: Network, configuration: Configuration) -> None:
    """Check that a slot's declaration fits its config.pbtxt.

    Raises:
        SpecMismatchError: names, types or sizes differ.
    """
    for declared, configured in (
        (network.inputs, configuration.inputs),
        (network.outputs, configuration.outputs),
    ):
        ours, theirs = (
            [(t.name, t.dtype) for t in declared],
            [(t.name, t.dtype) for t in configured],
        )
        if ours != theirs:
            raise SpecMismatchError(f"{slot}: declared {ours}, but config.pbtxt says {theirs}")
        for tensor, other in zip(declared, configured, strict=True):
            if not _fits(tensor, other):
                raise SpecMismatchError(
                    f"{slot}: {tensor.name} has sizes {tensor.dims}, "
                    f"but config.pbtxt says {other.dims}"
                )


def _fits(declared: Tensor, configured: Tensor) -> bool:
    """Whether every size is the configured one. An open one takes any."""
    return len(declared.dims) == len(configured.dims) and all(
        theirs in (ours, VARIES)
        for ours, theirs in zip(declared.dims, configured.dims, strict=True)
    )
