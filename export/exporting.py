"""From a slot's declaration to a checked folder of the model repository."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export import building, stamp
from export.building import Build, build_of, supported
from export.configuration import REPOSITORY
from export.files import link_or_copy, workspace
from export.options import Checkpoint, Format, Options, Precision
from export.placing import UNFINISHED, move, refresh_configurations, relative_files, storage
from export.spec import Slot
from export.weights import fetch_all

KEPT = "checkpoint"
"""Name, before its suffix, of the user's checkpoint in the version's folder of a slot whose weights
may not be fetched: with it, the slot can be exported again."""


@dataclass(frozen=True)
class Report:
    """What an export found.

    Args:
        slot: its name.
        format: the one that was written; None for a slot without a network.
        precision: the one that it computes in.
        figures: each output's worst figure against the eager network; see `parity.compare`.
        seconds: how long it took.
        skipped: an earlier export was still good, and the figures are its.
    """

    slot: str
    format: Format | None
    precision: Precision | None
    figures: dict[str, float]
    seconds: float
    skipped: bool = False


def unchanged(
    slot: Slot, repository: Path = REPOSITORY, options: Options | None = None
) -> Report | None:
    """Return the report of an earlier export into this repository, or None if it is not good."""
    started = time.perf_counter()
    chosen = supported(slot, options or Options())
    folder = repository / slot.name
    if not stamp.is_current(folder, stamp.stamp_of(slot, chosen)):
        return None
    return _report(slot, chosen, stamp.figures(folder), started, skipped=True)


def export_slot(
    slot: Slot,
    repository: Path = REPOSITORY,
    force: bool = False,
    options: Options | None = None,
    staging: Path | None = None,
) -> Report:
    """Fill `<repository>/<slot>` unless an earlier export is still good.

    Args:
        slot: what to put there.
        repository: model repository. Into another one than the project's own, what is written by
            hand is copied too, so that it can be served as it is.
        force: export even when an earlier export is still good.
        options: format, precision and weights.
        staging: where the files are left instead, for `placing.place` to move them.

    Raises:
        WeightsError: an artifact cannot be had.
        CheckpointError: the user's checkpoint does not fit, or the slot takes none, or has no
            random weights.
        SpecMismatchError: graph, declaration and config.pbtxt disagree.
        ParityError: the graph's answers differ too much.
        StorageError: the repository cannot be written. After any of these, the earlier model is
            still in place.
    """
    earlier = None if force else unchanged(slot, repository, options)
    if earlier:
        refresh_configurations(slot.name, repository)
        return earlier
    started = time.perf_counter()
    chosen = supported(slot, options or Options())
    build = build_of(slot, chosen)
    folder = repository / slot.name
    if staging is not None:
        with storage(slot.name, staging):
            (staging / slot.name).mkdir()
            figures = _fill(slot, build, chosen, staging / slot.name)
        return _report(slot, chosen, figures, started)
    with storage(slot.name, folder):
        (folder / "1").mkdir(parents=True, exist_ok=True)
        # Inside the version's folder: Triton looks for no model there, and a move stays on one
        # disk.
        with workspace(folder / "1", UNFINISHED) as temporary:
            figures = _fill(slot, build, chosen, temporary)
            move(temporary, folder)
    refresh_configurations(slot.name, repository)
    return _report(slot, chosen, figures, started)


def kept_checkpoint(folder: Path, profile: str) -> Path | None:
    """Return the user's checkpoint that an earlier export of this profile has kept in the slot."""
    if stamp.read(folder).get("profile") != profile:
        return None
    return next(folder.glob(f"1/{KEPT}.*"), None)


def _report(
    slot: Slot, options: Options, figures: dict[str, float], started: float, skipped: bool = False
) -> Report:
    seconds = time.perf_counter() - started
    if slot.network is None:
        return Report(slot.name, None, None, figures, seconds, skipped)
    return Report(slot.name, options.format, options.precision, figures, seconds, skipped)


def _fill(slot: Slot, build: Build[Any], options: Options, folder: Path) -> dict[str, float]:
    """Write all of the slot's files, checked, into an empty folder; the stamp comes last."""
    (folder / "1").mkdir()
    files = fetch_all(build.builder.fetched)
    # Only now: of some files the hub tells the checksum when they are fetched.
    current = stamp.stamp_of(slot, options)
    # First what may still have to be fetched: nobody waits for a network in vain.
    build.write(files, folder)
    for path_in_folder, name in build.builder.files.items():
        link_or_copy(files[name], folder / path_in_folder)
    figures = {}
    if slot.network is not None:
        path = folder / "1" / options.format.filename
        figures = building.export_network(slot, build, options, files, path)
    for path_in_folder, text in slot.texts.items():
        (folder / path_in_folder).write_text(text, encoding="utf-8")
    if isinstance(options.weights, Checkpoint) and slot.pretrained is None:
        brought = options.weights.path
        shutil.copyfile(brought, folder / "1" / f"{KEPT}{brought.suffix or '.pt'}")
    described = stamp.describe(folder, current, relative_files(folder), figures)
    (folder / stamp.STAMP).write_text(described, encoding="utf-8")
    return figures
