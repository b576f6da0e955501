"""Compares an exported network's answers with the eager network's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from export.errors import ParityError, SpecMismatchError
from export.spec import Arrays, Network, Tensor

if TYPE_CHECKING:
    import onnxruntime
    import torch

BATCHES = (1, 3)


def compare(
    slot: str, network: Network, eager: torch.nn.Module, model_path: Path
) -> dict[str, float]:
    """Return each output's largest difference, over batches 1 and 3 of every case.

    The difference is relative to the reference's largest magnitude.

    Raises:
        SpecMismatchError: an output has another name, type or shape than declared.
        ParityError: a difference is larger than the network's tolerance.
    """
    session = open_session(model_path)
    _check_names(slot, network, session)
    largest: dict[str, float] = {}
    for case in range(network.cases):
        for batch in BATCHES:
            inputs = network.examples(batch, case)
            expected = run_eager(network, eager, inputs)
            answers = dict(zip(_names(network), session.run(None, inputs), strict=True))
            _check_shapes(slot, network, batch, answers)
            for name, reference in expected.items():
                found = largest_difference(answers[name], reference)
                largest[name] = max(found, largest.get(name, 0.0))
    _check_tolerance(slot, network, largest)
    return largest


def open_session(model_path: Path) -> onnxruntime.InferenceSession:
    """Open an exported network on the processor."""
    import onnxruntime

    return onnxruntime.InferenceSession(model_path, providers=["CPUExecutionProvider"])


def run_eager(network: Network, eager: torch.nn.Module, inputs: Arrays) -> Arrays:
    """Return the eager network's numeric outputs, by name."""
    import torch

    from export.graph import arguments

    with torch.inference_mode():
        outputs = eager(*arguments(network, inputs))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return {name: value.numpy() for name, value in zip(_names(network), outputs, strict=False)}


def largest_difference(
    answer: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]
) -> float:
    """Return the largest absolute difference over the reference's largest magnitude.

    Not a number anywhere counts as an infinite difference.
    """
    difference = float(np.abs(answer - reference).max(initial=0.0))
    magnitude = float(np.abs(reference).max(initial=0.0))
    return difference / (magnitude or 1.0) if np.isfinite(difference) else float("inf")


def _names(network: Network) -> list[str]:
    return [tensor.name for tensor in network.outputs]


def _check_names(slot: str, network: Network, session: onnxruntime.InferenceSession) -> None:
    found = [node.name for node in session.get_outputs()]
    if found != _names(network):
        raise SpecMismatchError(f"{slot}: answers {found}, declared are {_names(network)}")


def _check_shapes(slot: str, network: Network, batch: int, answers: Arrays) -> None:
    for tensor in network.outputs:
        shape = answers[tensor.name].shape
        if not _has_shape(shape, batch, tensor):
            raise SpecMismatchError(
                f"{slot}: {tensor.name} answered shape {shape} to a batch of {batch}, "
                f"declared is {tensor.dims}"
            )


def _has_shape(shape: tuple[int, ...], batch: int, tensor: Tensor) -> bool:
    wanted = (batch, *tensor.dims)
    return len(shape) == len(wanted) and all(
        isinstance(size, str) or size == found for found, size in zip(shape, wanted, strict=True)
    )


def _check_tolerance(slot: str, network: Network, largest: dict[str, float]) -> None:
    for name, difference in largest.items():
        if difference > network.tolerance:
            raise ParityError(
                f"{slot}: {name} differs from the eager network by {difference:.1e} of its "
                f"largest magnitude; allowed is {network.tolerance:.0e}"
            )
