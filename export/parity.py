"""Compares an exported network's answers with the eager network's, in float32."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from export.errors import ParityError, SpecMismatchError
from export.options import Format, Precision
from export.spec import FP16_TOLERANCE, INT8_COSINE, Arrays, Network, Tensor

if TYPE_CHECKING:
    import onnxruntime
    import torch

BATCHES = (1, 3)

Answer = Callable[[Arrays], Arrays]
"""An exported model: named inputs -> named outputs, both batch first."""


@dataclass(frozen=True)
class Case:
    """Inputs, and what the eager network answers to them."""

    inputs: Arrays
    expected: Arrays

    @property
    def batch(self) -> int:
        """Number of items."""
        return len(next(iter(self.inputs.values())))


def references(network: Network, eager: torch.nn.Module) -> list[Case]:
    """Return what the eager network answers to batches 1 and 3 of every case."""
    return cases(network, lambda inputs: run_eager(network, eager, inputs))


def cases(network: Network, answer: Answer) -> list[Case]:
    """Return what is to be answered to batches 1 and 3 of every case."""
    drawn = [network.examples(batch, case) for case in range(network.cases) for batch in BATCHES]
    return [Case(inputs, answer(inputs)) for inputs in drawn]


def compare(
    slot: str,
    network: Network,
    cases: Sequence[Case],
    model_path: Path,
    precision: Precision = Precision.FP32,
) -> dict[str, float]:
    """Return each numeric output's worst figure over the cases, and check it.

    The figure is the largest difference, relative to the reference's largest magnitude; in int8
    the smallest cosine between an item's answer and its reference.

    Raises:
        SpecMismatchError: an output has another name, type or shape than declared.
        ParityError: a figure is worse than allowed.
    """
    answer = open_model(slot, network, model_path, precision)
    figures: dict[str, list[float]] = {}
    for case in cases:
        answers = answer(case.inputs)
        _check_shapes(slot, network, case.batch, answers)
        for name, reference in case.expected.items():
            measure = smallest_cosine if precision is Precision.INT8 else largest_difference
            figures.setdefault(name, []).append(measure(answers[name], reference))
    worst = min if precision is Precision.INT8 else max
    found = {name: worst(values) for name, values in figures.items()}
    _check(slot, network, precision, found)
    return found


def open_model(slot: str, network: Network, path: Path, precision: Precision) -> Answer:
    """Open an exported network of either format on the processor."""
    if path.name == Format.TORCHSCRIPT.filename:
        return _open_torchscript(network, path)
    session = open_session(path, precision)
    _check_names(slot, network, session)
    names = _names(network)
    return lambda inputs: dict(zip(names, session.run(None, inputs), strict=True))


def open_session(
    model_path: Path, precision: Precision = Precision.FP32
) -> onnxruntime.InferenceSession:
    """Open an exported ONNX graph on the processor."""
    import onnxruntime

    from export.graph import CRASHES_ON_FLOAT16, SLOW_ON_PROCESSORS

    disabled = {Precision.FP16: [CRASHES_ON_FLOAT16], Precision.INT8: [SLOW_ON_PROCESSORS]}
    return onnxruntime.InferenceSession(
        model_path,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=disabled.get(precision, []),
    )


def _open_torchscript(network: Network, path: Path) -> Answer:
    import torch

    with warnings.catch_warnings(action="ignore"):  # torch's advice to move to its successor
        loaded = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return lambda inputs: run_eager(network, loaded, inputs)


def run_eager(network: Network, eager: torch.nn.Module, inputs: Arrays) -> Arrays:
    """Return a torch module's outputs, by name."""
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


def smallest_cosine(answer: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> float:
    """Return the smallest cosine between an item's answer and its reference.

    Not a number anywhere counts as -1.
    """
    ours = answer.reshape(len(answer), -1).astype(np.float64)
    theirs = reference.reshape(len(reference), -1).astype(np.float64)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosines = (ours * theirs).sum(axis=1) / np.where(lengths == 0, 1.0, lengths)
    return float(cosines.min()) if np.isfinite(cosines).all() else -1.0


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


def allowed(network: Network, precision: Precision) -> str:
    """Return the limit that `compare` holds the figures to, in words."""
    if precision is Precision.INT8:
        return f"smallest cosine, at least {INT8_COSINE}"
    return f"largest difference, at most {_tolerance(network, precision):.0e}"


def _tolerance(network: Network, precision: Precision) -> float:
    return FP16_TOLERANCE if precision is Precision.FP16 else network.tolerance


def _check(slot: str, network: Network, precision: Precision, found: dict[str, float]) -> None:
    for name, figure in found.items():
        if precision is Precision.INT8 and figure < INT8_COSINE:
            raise ParityError(
                f"{slot}: {name} in int8 has a cosine of {figure:.4f} to the eager network; at "
                f"least {INT8_COSINE} is needed"
            )
        tolerance = _tolerance(network, precision)
        if precision is not Precision.INT8 and figure > tolerance:
            raise ParityError(
                f"{slot}: {name} differs from the eager network by {figure:.1e} of its "
                f"largest magnitude; allowed is {tolerance:.0e}"
            )
