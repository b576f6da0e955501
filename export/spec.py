"""How a slot declares itself to the exporter. Imports no torch: reading a declaration is cheap.

A slot's module holds one `SLOT`. Its functions import torch only when they are called, so that
an export with nothing to do takes no time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx
    import torch

Arrays = dict[str, npt.NDArray[Any]]
"""Tensor name -> array, batch first."""

Files = Mapping[str, Path]
"""Artifact name -> verified file in the cache."""

FP32_TOLERANCE = 1e-4
"""Largest difference allowed, relative to the reference's largest magnitude."""


@dataclass(frozen=True)
class Tensor:
    """One input or output of a network.

    Args:
        name: upper-case word, as in config.pbtxt.
        dtype: numpy's name of the type, or "string".
        dims: true sizes without the batch; a word stands for a size that varies by request.
    """

    name: str
    dtype: str
    dims: tuple[int | str, ...]


@dataclass(frozen=True)
class Network:
    """What is exported to `1/model.onnx`.

    Args:
        inputs: in the order of the module's `forward`.
        outputs: in the order of the tuple that `forward` returns; those of type "string" come
            after, are not returned by `forward`, and are added by `finish`.
        load: builds the eager module, in evaluation mode, from the artifacts' files.
        examples: (batch, case) -> seeded inputs. The graph is traced on batch 2 of case 0, and
            compared on batches 1 and 3 of every case.
        cases: number of cases: a second length, a second pattern of absence.
        tolerance: largest difference allowed, relative to the reference's largest magnitude.
        finish: edits the graph after export, before it is checked.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    load: Callable[[Files], torch.nn.Module]
    examples: Callable[[int, int], Arrays]
    cases: int = 1
    tolerance: float = FP32_TOLERANCE
    finish: Callable[[onnx.ModelProto], None] | None = None


@dataclass(frozen=True)
class Slot:
    """What fills one folder of the model repository under one profile.

    Args:
        name: the folder's name.
        module: `__name__` of the declaring module; it and what it imports of this package decide
            whether an earlier export is still good.
        artifacts: names in the manifest, handed to `network.load`.
        network: the graph, if the slot has one.
        files: path in the slot's folder -> name of the artifact that is put there.
        texts: path in the slot's folder -> content that is written there.
        data: further files, of our own, that the export depends on.
    """

    name: str
    module: str
    artifacts: tuple[str, ...] = ()
    network: Network | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    data: tuple[Path, ...] = ()


def generator(*seed: int) -> np.random.Generator:
    """Return the random source for example inputs: the same numbers for the same seed."""
    return np.random.default_rng(seed)
