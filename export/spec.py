"""How a slot declares itself to the exporter. Imports no torch: reading a declaration is cheap.

A slot's module holds one `SLOT`. Its functions import torch only when they are called, so that
an export with nothing to do takes no time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from export.options import Format, Precision, Weights

if TYPE_CHECKING:
    import onnx
    import torch

    from export.parity import Answer

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
        examples: (batch, case) -> seeded inputs. The graph is traced on batch 2 of case 0, and
            compared on batches 1 and 3 of every case.
        cases: number of cases: a second length, a second pattern of absence.
        tolerance: largest difference allowed in fp32, relative to the reference's largest
            magnitude.
        finish: edits the ONNX graph after export, before it is checked; told which weights are
            in it.
        formats: those it can be written in; the first is the default.
        precisions: those it can compute in; the first is the default.
        int8_block: in int8, so many consecutive values of a row, of weights and of activations,
            share a scale; None for one of each weight's output channel and of all activations.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    examples: Callable[[int, int], Arrays]
    cases: int = 1
    tolerance: float = FP32_TOLERANCE
    finish: Callable[[onnx.ModelProto, Weights], None] | None = None
    formats: tuple[Format, ...] = (Format.ONNX,)
    precisions: tuple[Precision, ...] = (Precision.FP32,)
    int8_block: int | None = None


Source = TypeVar("Source")
"""Where weights of one kind come from: the artifacts' files, a seed, or the user's checkpoint."""


@dataclass(frozen=True)
class Builder(Generic[Source]):
    """Makes what fills a slot from weights of one kind.

    Args:
        network: source -> the eager module, in evaluation mode; raises CheckpointError where the
            weights do not fit.
        graph: (source, path) -> writes a finished ONNX graph instead, and checks it.
        original: source -> what that graph must answer as, if `graph` does not compare it itself.
        write: (source, folder) -> writes files beside the network: a tokenizer, labels, a
            converted model.
        artifacts: names in the manifest of what `network` and `write` are given.
        files: path in the slot's folder -> name of the artifact that is put there as it is.
        companion_files: names of files that are read beside the user's checkpoint, where they are.
    """

    network: Callable[[Source], torch.nn.Module] | None = None
    graph: Callable[[Source, Path], None] | None = None
    original: Callable[[Source], Answer] | None = None
    write: Callable[[Source, Path], None] | None = None
    artifacts: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    companion_files: tuple[str, ...] = ()

    @property
    def fetched(self) -> list[str]:
        """Names of all artifacts that it needs, sorted."""
        return sorted({*self.artifacts, *self.files.values()})


def seeded(build: Callable[[], torch.nn.Module]) -> Callable[[int], torch.nn.Module]:
    """Return seed -> the module that `build` makes with torch's global generator seeded so."""

    def from_seed(seed: int) -> torch.nn.Module:
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return build()

    return from_seed


@dataclass(frozen=True)
class Slot:
    """What fills one folder of the model repository under one profile.

    Args:
        name: the folder's name.
        module: `__name__` of the declaring module; it and what it imports of this package decide
            whether an earlier export is still good.
        network: the graph, if the slot has one.
        pretrained: fills it from the artifacts of the manifest (name -> file); None where its
            weights may not be fetched. The checkpoint that the user brings is then kept.
        random: fills it from a seed, full size; None where it has no random weights.
        checkpoint: fills it from a file that the user brings; None where it takes none.
        texts: path in the slot's folder -> content that is written there.
        data: further files, of our own, that the export depends on.
    """

    name: str
    module: str
    network: Network | None = None
    pretrained: Builder[Files] | None = None
    random: Builder[int] | None = None
    checkpoint: Builder[Path] | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    data: tuple[Path, ...] = ()


def generator(*seed: int) -> np.random.Generator:
    """Return the random source for example inputs: the same numbers for the same seed."""
    return np.random.default_rng(seed)
