"""The interface of a Python slot, and what the slots have in common."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from vemoclap_client.analysis import StepEvidence

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class ReceivedTensor:
    """An input of a request that can be handed on to another slot without a copy.

    Attributes:
        array: a view of its values.
        tensor: Triton's tensor, which holds them in shared memory under its own name.
    """

    array: NDArray[Any]
    tensor: Any


Value = NDArray[Any] | ReceivedTensor

THREADS_PARAMETER = "intra_op_thread_count"
"""Of the onnxruntime backend, and of a Python slot with a network of its own."""
STAMP = "1/export.json"
"""The file that an export writes last into a slot's folder: it says from what it was made."""


@dataclass(frozen=True)
class Device:
    """Where a Python slot with a network of its own runs it, from the slot's `instance_group`.

    Attributes:
        kind: "cpu" or "cuda".
        index: of the GPU.
        threads: of the network on a CPU, the configuration's `intra_op_thread_count`.
    """

    kind: str
    index: int = 0
    threads: int = 1


CPU = Device("cpu")


class OverloadedError(Exception):
    """Another slot has too much to do: the client can send its request again later."""


class Infer(Protocol):
    """Calls another slot of the repository (BLS)."""

    async def __call__(
        self, slot: str, inputs: Mapping[str, Value], outputs: Sequence[str]
    ) -> Tensors:
        """Sends batch-first inputs to `slot`; returns the named outputs, batch-first.

        Raises:
            OverloadedError: `slot` has too much to do.
            Exception: it responded with another error.
        """


class PythonSlot(Protocol):
    """A Python slot: made once per instance, run once per clip."""

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Loads the slot's files.

        Args:
            version_directory: model_repository/<slot>/<version>/.
            device: for a network of its own.
        """

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Turns one clip's inputs into its outputs, both without a batch dimension.

        An absent modality (no face, no sound) is no error, since one failing step would fail the
        whole ensemble: it has a length of 0 and a reason.
        """


def elapsed_ms(started: float) -> float:
    """Milliseconds since `started`, a time of time.perf_counter()."""
    return round((time.perf_counter() - started) * 1000, 1)


def analyzer_outputs(rows: NDArray[np.float32], row_count: int, evidence: StepEvidence) -> Tensors:
    """The outputs of an analyzer: FEATURES [row_count, width], LENGTH [1], EVIDENCE [1].

    Args:
        rows: float32 [n, width], n <= row_count; zeros follow them up to row_count.
        row_count: 16 for a sequence, 1 for a single row.
        evidence: the document for people.
    """
    features = np.zeros((row_count, rows.shape[1]), np.float32)
    features[: len(rows)] = rows
    return {
        "FEATURES": features,
        "LENGTH": np.array([len(rows)], np.int32),
        "EVIDENCE": json_tensor(evidence),
    }


class FeatureWidth:
    """The width of an encoder's features, which differs between profiles.

    An absent modality is zeros of that width. The encoder is called once, with one blank item.
    """

    def __init__(self, slot: str, blank: Tensors) -> None:
        """`blank`: inputs of the encoder `slot`, batch-first, of one item."""
        self._slot = slot
        self._blank = blank
        self._width: int | None = None

    async def get(self, infer: Infer) -> int:
        """Width of the slot's FEATURES."""
        if self._width is None:
            outputs = await infer(self._slot, self._blank, ["FEATURES"])
            self._width = outputs["FEATURES"].shape[-1]
        return self._width

    async def no_rows(self, infer: Infer) -> NDArray[np.float32]:
        """float32 [0, width]."""
        return np.zeros((0, await self.get(infer)), np.float32)


def is_filled(repository: Path, slot: str) -> bool:
    """Whether export has filled an optional slot, so that the server loads it."""
    return (repository / slot / STAMP).is_file()


def json_tensor(document: object) -> NDArray[Any]:
    """A document, msgspec type or JSON-ready objects, as a string tensor [1] of JSON."""
    return np.array([msgspec.json.encode(document)], object)
