"""From an eager network to a checked `1/model.onnx` in a model repository."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from export.spec import Slot


@dataclass(frozen=True)
class Report:
    """What an export found: the largest relative difference per output, and whether it ran."""

    slot: str
    differences: dict[str, float]
    seconds: float
    skipped: bool = False


def export_slot(slot: Slot, repository: Path, force: bool = False) -> Report:
    """Fill `<repository>/<slot>` unless an earlier export is still good.

    Args:
        slot: what to put there.
        repository: model repository. In another one than the project's own, the slot's
            config.pbtxt and label file are copied too, so that it can be served as it is.
        force: export even when an earlier export is still good.

    Raises:
        WeightsError: an artifact cannot be had.
        SpecMismatchError: graph, specification and config.pbtxt disagree.
        ParityError: the graph's answers differ too much. The earlier model stays in place.
    """
    raise NotImplementedError
