"""The interface of a Python slot, and what every step does alike."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[Any]]

STAMP = "1/export.json"
"""What an export writes last into a slot's folder: what it was made from."""


@dataclass(frozen=True)
class Device:
    """Where a step that brings its own network runs it: the slot's `instance_group` says so."""

    kind: str
    """"cpu" or "cuda"."""
    index: int = 0


CPU = Device("cpu")


class Infer(Protocol):
    """Asks another slot of the repository (a BLS call)."""

    async def __call__(
        self, slot: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> Tensors:
        """Sends batch-first inputs to `slot`; returns the named outputs, batch-first."""


class PythonSlot(Protocol):
    """A Python slot. It is made once per instance and run once per clip."""

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Loads what the step needs from model_repository/<slot>/<version>/.

        Args:
            version_directory: that folder.
            device: for a step that brings a network of its own.
        """

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Turns one clip's inputs into its outputs, both without a batch dimension.

        What is merely absent (no face, no sound) is an answer, not an error: a length of 0 and
        a reason, since one failing step would fail the whole ensemble.
        """


@contextmanager
def timed(evidence: dict[str, Any]) -> Iterator[None]:
    """Writes how long the block took, in milliseconds, to evidence["duration_ms"]."""
    started = time.perf_counter()
    yield
    evidence["duration_ms"] = round((time.perf_counter() - started) * 1000, 1)


def analyzer_outputs(
    rows: NDArray[np.float32], row_count: int, evidence: dict[str, Any]
) -> Tensors:
    """What every analyzer answers: padded features, how many rows are real, and the evidence.

    Args:
        rows: float32 [n, width], n <= row_count; zeros follow them up to row_count.
        row_count: 16 for a sequence, 1 for a single row.
        evidence: what was found, as a JSON object for people; "absent" gives the reason why
            nothing was.
    """
    features = np.zeros((row_count, rows.shape[1]), np.float32)
    features[: len(rows)] = rows
    return {
        "FEATURES": features,
        "LENGTH": np.array([len(rows)], np.int32),
        "EVIDENCE": json_tensor(evidence),
    }


class FeatureWidth:
    """How wide an encoder's features are, which differs between profiles.

    An absent modality must still be zeros of that width. The encoder itself is asked, once, with
    one blank item.
    """

    def __init__(self, slot: str, blank: Tensors) -> None:
        self._slot = slot
        self._blank = blank
        self._width: int | None = None

    async def get(self, infer: Infer) -> int:
        """Width of the slot's FEATURES."""
        if self._width is None:
            answer = await infer(self._slot, self._blank, ["FEATURES"])
            self._width = answer["FEATURES"].shape[-1]
        return self._width

    async def no_rows(self, infer: Infer) -> NDArray[np.float32]:
        """float32 [0, width]."""
        return np.zeros((0, await self.get(infer)), np.float32)


def is_filled(repository: Path, slot: str) -> bool:
    """Whether an optional slot is there: export has filled it, so the server loads it."""
    return (repository / slot / STAMP).is_file()


def json_tensor(document: object) -> NDArray[Any]:
    """One JSON document as a string tensor [1]."""
    return np.array([json.dumps(document, ensure_ascii=False).encode()], object)
