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

from export.options import Format, Precision, Weights

if TYPE_CHECKING:
    import onnx
    import torch

Arrays = dict[str, npt.NDArray[Any]]
"""Tensor name -> array, batch first."""

Files = Mapping[str, Path]
"""Artifact name -> verified file in the cache."""

FP32_TOLERANCE = 1e-4
"""Largest difference allowed, relative to the reference's largest magnitude."""

FP16_TOLERANCE = 2e-2
"""The same, for an export in float16 against the eager network in float32."""

INT8_COSINE = 0.99
"""Smallest cosine allowed between an item's answer in int8 and in float32."""


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
    """What is exported to `1/model.onnx` or `1/model.pt`.

    A network of several precisions computes in the type of its own weights, takes and answers
    float32, and names in an attribute `FLOAT32_PARTS` the submodules that must stay in float32.

    Args:
        inputs: in the order of the module's `forward`.
        outputs: in the order of the tuple that `forward` returns; those of type "string" come
            after, are not returned by `forward`, and are added by `finish`.
        load: builds the eager module, in evaluation mode, from the artifacts' files.
        examples: (batch, case) -> seeded inputs. The graph is traced on batch 2 of case 0, and
            compared on batches 1 and 3 of every case.
        cases: number of cases: a second length, a second pattern of absence.
        tolerance: largest difference allowed in fp32, relative to the reference's largest
            magnitude.
        finish: edits the ONNX graph after export, before it is checked; told which weights are
            in it.
        random: builds the full-size architecture with random weights, in evaluation mode. The
            caller seeds torch's global generator.
        restore: builds the eager module, in evaluation mode, from a checkpoint that the user
            brings; raises CheckpointError where it does not fit.
        compose: (checkpoint, path) -> writes the finished ONNX graph from an ONNX file that the
            user brings, and checks it; raises CheckpointError where it does not fit.
        formats: those it can be written in; the first is the default.
        precisions: those it can compute in; the first is the default.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    load: Callable[[Files], torch.nn.Module]
    examples: Callable[[int, int], Arrays]
    cases: int = 1
    tolerance: float = FP32_TOLERANCE
    finish: Callable[[onnx.ModelProto, Weights], None] | None = None
    random: Callable[[], torch.nn.Module] | None = None
    restore: Callable[[Path], torch.nn.Module] | None = None
    compose: Callable[[Path, Path], None] | None = None
    formats: tuple[Format, ...] = (Format.ONNX,)
    precisions: tuple[Precision, ...] = (Precision.FP32,)


@dataclass(frozen=True)
class Slot:
    """What fills one folder of the model repository under one profile.

    Args:
        name: the folder's name.
        module: `__name__` of the declaring module; it and what it imports of this package decide
            whether an earlier export is still good.
        artifacts: names in the manifest, handed to `network.load` and `make`.
        network: the graph, if the slot has one.
        files: path in the slot's folder -> name of the artifact that is put there.
        texts: path in the slot's folder -> content that is written there.
        data: further files, of our own, that the export depends on.
        make: (artifacts, folder) -> writes files that are made of artifacts: a conversion, labels.
        make_random: (seed, folder) -> writes in their place what goes with random weights, without
            any network. Where neither this nor `network.random` is there, `files` are fetched in
            any case: they come from a package registry.
        make_restored: (checkpoint, folder) -> the same for a checkpoint that the user brings.
        beside: names of files that are read beside a checkpoint that the user brings.
        is_brought: its weights may not be fetched; an earlier export from the user's checkpoint is
            kept.
    """

    name: str
    module: str
    artifacts: tuple[str, ...] = ()
    network: Network | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    data: tuple[Path, ...] = ()
    make: Callable[[Files, Path], None] | None = None
    make_random: Callable[[int, Path], None] | None = None
    make_restored: Callable[[Path, Path], None] | None = None
    beside: tuple[str, ...] = ()
    is_brought: bool = False


def generator(*seed: int) -> np.random.Generator:
    """Return the random source for example inputs: the same numbers for the same seed."""
    return np.random.default_rng(seed)
