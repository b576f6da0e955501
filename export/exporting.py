"""From a slot's declaration to a checked folder of the model repository."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from export import configuration, stamp
from export.leftovers import remove_leftovers
from export.spec import Slot
from export.weights import fetch_all

REPOSITORY = stamp.PROJECT / "model_repository"
CONFIG = "config.pbtxt"
MODEL = "1/model.onnx"
UNFINISHED = ".export-"
"""Start of the name of the folder that an export works in."""
WRITTEN_BY_HAND = (CONFIG, "labels.txt", "1/model.py")
"""What a slot's folder needs besides what is exported, to be served from another repository."""


@dataclass(frozen=True)
class Report:
    """What an export found.

    Args:
        slot: its name.
        differences: each output's largest difference from the eager network, relative.
        seconds: how long it took.
        skipped: an earlier export was still good, and the differences are its.
    """

    slot: str
    differences: dict[str, float]
    seconds: float
    skipped: bool = False


def unchanged(slot: Slot, repository: Path = REPOSITORY) -> Report | None:
    """Return the report of an earlier export into this repository, or None if it is not good."""
    started = time.perf_counter()
    folder = repository / slot.name
    if not stamp.is_current(folder, _stamp(slot)):
        return None
    return Report(slot.name, stamp.differences(folder), time.perf_counter() - started, True)


def export_slot(slot: Slot, repository: Path = REPOSITORY, force: bool = False) -> Report:
    """Fill `<repository>/<slot>` unless an earlier export is still good.

    Args:
        slot: what to put there.
        repository: model repository. Into another one than the project's own, what is written by
            hand is copied too, so that it can be served as it is.
        force: export even when an earlier export is still good.

    Raises:
        WeightsError: an artifact cannot be had.
        SpecMismatchError: graph, declaration and config.pbtxt disagree.
        ParityError: the graph's answers differ too much. The earlier model stays in place.
    """
    earlier = None if force else unchanged(slot, repository)
    if earlier:
        return earlier
    started = time.perf_counter()
    folder = repository / slot.name
    (folder / "1").mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder / "1", UNFINISHED)
    # Inside the version's folder: Triton looks for no model there, and a move stays on one disk.
    with tempfile.TemporaryDirectory(dir=folder / "1", prefix=UNFINISHED) as temporary:
        figures = _fill(slot, Path(temporary), _stamp(slot))
        _move(Path(temporary), folder)
    if not folder.samefile(REPOSITORY / slot.name):
        _copy_handwritten(slot, folder)
    return Report(slot.name, figures, time.perf_counter() - started)


def _stamp(slot: Slot) -> stamp.Stamp:
    return stamp.stamp_of(slot, REPOSITORY / slot.name / CONFIG)


def _fill(slot: Slot, folder: Path, current: stamp.Stamp) -> dict[str, float]:
    """Write all of the slot's files, checked, into an empty folder; the stamp comes last."""
    (folder / "1").mkdir()
    files = fetch_all({*slot.artifacts, *slot.files.values()})
    figures = _export_network(slot, files, folder / MODEL) if slot.network else {}
    for path, name in slot.files.items():
        _link(files[name], folder / path)
    for path, text in slot.texts.items():
        (folder / path).write_text(text, encoding="utf-8")
    described = stamp.describe(folder, current, _relative_files(folder), figures)
    (folder / stamp.STAMP).write_text(described, encoding="utf-8")
    return figures


def _export_network(slot: Slot, files: dict[str, Path], path: Path) -> dict[str, float]:
    from export import graph, parity

    network = slot.network
    assert network is not None
    configured = configuration.read(REPOSITORY / slot.name / CONFIG)
    configuration.check(slot.name, network, configured)
    eager = network.load(files)
    graph.write(network, eager, path)
    graph.finish(slot.name, network, configured, path)
    return parity.compare(slot.name, network, eager, path)


def _link(source: Path, target: Path) -> None:
    """Put the cached file there without a copy where the disk allows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copyfile(source, target)


def _move(source: Path, folder: Path) -> None:
    """Move every file into place; the stamp last, so that it never speaks for missing files."""
    paths = sorted(_relative_files(source), key=lambda path: (path == stamp.STAMP, path))
    (folder / stamp.STAMP).unlink(missing_ok=True)
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).replace(folder / path)


def _copy_handwritten(slot: Slot, folder: Path) -> None:
    for path in WRITTEN_BY_HAND:
        source = REPOSITORY / slot.name / path
        if source.is_file() and path not in slot.texts:
            shutil.copyfile(source, folder / path)


def _relative_files(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
