"""From a slot's declaration to a checked folder of the model repository."""

from __future__ import annotations

import errno
import fcntl
import filecmp
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from export import configuration, stamp
from export.errors import CheckpointError, StorageError
from export.leftovers import remove_leftovers
from export.options import Checkpoint, Format, Options, Precision, Pretrained, Random
from export.spec import Files, Network, Slot
from export.weights import fetch_all

if TYPE_CHECKING:
    import torch

REPOSITORY = stamp.PROJECT / "model_repository"
CONFIG = "config.pbtxt"
VARIANTS = "configs"
MODEL = f"1/{Format.ONNX.filename}"
UNFINISHED = ".export-"
"""Start of the name of the folder that an export works in."""
WRITTEN_BY_HAND = (CONFIG, "labels.txt", "1/model.py")
"""What a slot's folder needs besides what is exported, to be served from another repository."""


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
    chosen = suited(slot, options or Options())
    folder = repository / slot.name
    if not stamp.is_current(folder, _expected(slot, chosen, folder)):
        return None
    figures = stamp.figures(folder)
    return _report(slot, chosen, figures, time.perf_counter() - started, skipped=True)


def export_slot(
    slot: Slot,
    repository: Path = REPOSITORY,
    force: bool = False,
    options: Options | None = None,
) -> Report:
    """Fill `<repository>/<slot>` unless an earlier export is still good.

    Args:
        slot: what to put there.
        repository: model repository. Into another one than the project's own, what is written by
            hand is copied too, so that it can be served as it is.
        force: export even when an earlier export is still good.
        options: format, precision and weights.

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
        refresh_handwritten(slot, repository)
        return earlier
    started = time.perf_counter()
    chosen = suited(slot, options or Options())
    folder = repository / slot.name
    with _storage(slot.name, folder):
        (folder / "1").mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder / "1", UNFINISHED)
        # Inside the version's folder: Triton looks for no model there, and a move stays on one
        # disk.
        with tempfile.TemporaryDirectory(dir=folder / "1", prefix=UNFINISHED) as temporary:
            figures = _fill(slot, chosen, Path(temporary))
            _move(Path(temporary), folder)
    refresh_handwritten(slot, repository)
    return _report(slot, chosen, figures, time.perf_counter() - started)


def refresh_handwritten(slot: Slot, repository: Path) -> None:
    """Copy what is written by hand, as it is now, unless this is the project's own repository.

    Raises:
        StorageError: the repository cannot be written.
    """
    folder = repository / slot.name
    with _storage(slot.name, folder):
        if not folder.samefile(REPOSITORY / slot.name):
            copy_handwritten(slot.name, folder)


def suited(slot: Slot, options: Options) -> Options:
    """Return the options with a format and a precision that the slot's network has.

    Raises:
        CheckpointError: the slot takes no checkpoint, or has no random weights.
    """
    _check_weights(slot, options)
    network = slot.network
    if network is None:
        return options
    formats, precisions = network.formats, network.precisions
    return Options(
        options.profile,
        options.format if options.format in formats else formats[0],
        options.precision if options.precision in precisions else precisions[0],
        options.weights,
    )


def _check_weights(slot: Slot, options: Options) -> None:
    """Refuse a choice that the slot would pass over, to be filled with pretrained weights."""
    network = slot.network
    takes_checkpoint = network and (network.restore or network.compose)
    # What has neither a network nor a conversion is files from a package registry.
    is_fixed = (network and not network.random) or (slot.make and not slot.make_random)
    match options.weights:
        case Checkpoint() if not takes_checkpoint:
            what = "takes no checkpoint"
        case Random() if is_fixed:
            what = "has no random weights"
        case _:
            return
    raise CheckpointError(f"slot {slot.name} of profile {options.profile} {what}")


def remove_others(slots: dict[str, Slot], repository: Path = REPOSITORY) -> list[str]:
    """Remove what an export has put into slots that are not among these; return their names.

    A repository holds one profile: what another has left would be served beside it.
    """
    others = [path.parents[1] for path in sorted(repository.glob(f"*/{stamp.STAMP}"))]
    removed = [folder for folder in others if folder.name not in slots]
    for folder in removed:
        _remove(folder, {*stamp.paths(folder), stamp.STAMP})
    return [folder.name for folder in removed]


def complete(slots: dict[str, Slot], repository: Path) -> None:
    """Copy into another repository than the project's own what is written by hand altogether.

    The ensemble and the steps between the slots: with them it can be served as it is.

    Raises:
        StorageError: the repository cannot be written.
    """
    if repository.exists() and repository.samefile(REPOSITORY):
        return
    for config in sorted(REPOSITORY.glob(f"*/{CONFIG}")):
        source, folder = config.parent, repository / config.parent.name
        if source.name in slots or _is_optional(source):
            continue
        with _storage(source.name, folder):
            # Triton wants a version's folder, also where there is nothing to put in.
            (folder / "1").mkdir(parents=True, exist_ok=True)
            copy_handwritten(source.name, folder)


def _is_optional(folder: Path) -> bool:
    from server.repository import is_optional, read_config

    return is_optional(read_config(folder / CONFIG))


def _report(
    slot: Slot, chosen: Options, figures: dict[str, float], seconds: float, skipped: bool = False
) -> Report:
    has = slot.network is not None
    return Report(
        slot.name,
        chosen.format if has else None,
        chosen.precision if has else None,
        figures,
        seconds,
        skipped,
    )


def _expected(slot: Slot, chosen: Options, folder: Path) -> stamp.Stamp:
    """The stamp that makes an earlier export still good."""
    expected = _stamp(slot, chosen)
    earlier = stamp.weights(folder)
    if slot.is_brought and isinstance(chosen.weights, Pretrained) and "checkpoint" in earlier:
        expected["weights"] = earlier
    return expected


def _stamp(slot: Slot, chosen: Options) -> stamp.Stamp:
    return stamp.stamp_of(slot, chosen, REPOSITORY / slot.name / CONFIG)


@contextmanager
def _storage(slot: str, folder: Path) -> Iterator[None]:
    """Make a failure to write a StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(_cannot_write(slot, folder, error)) from error


def _cannot_write(slot: str, folder: Path, error: OSError) -> str:
    reason = "the disk is full" if error.errno == errno.ENOSPC else str(error)
    return (
        f"{slot}: cannot write into {folder}: {reason}. What was there before is unchanged. "
        "Free some space, or choose another folder with --out, and run again."
    )


def _fill(slot: Slot, chosen: Options, folder: Path) -> dict[str, float]:
    """Write all of the slot's files, checked, into an empty folder; the stamp comes last."""
    (folder / "1").mkdir()
    files = fetch_all(_needed(slot, chosen))
    # Only now: of some files the hub tells the checksum when they are fetched.
    current = _stamp(slot, chosen)
    figures = _export_network(slot, chosen, files, folder) if slot.network else {}
    _write_files(slot, chosen, files, folder)
    for path, text in slot.texts.items():
        (folder / path).write_text(text, encoding="utf-8")
    described = stamp.describe(folder, current, _relative_files(folder), figures)
    (folder / stamp.STAMP).write_text(described, encoding="utf-8")
    return figures


def _needed(slot: Slot, chosen: Options) -> list[str]:
    """Names of the artifacts that this export is made of."""
    everything = sorted({*slot.artifacts, *slot.files.values()})
    match chosen.weights:
        case Random() if slot.make_random or (slot.network and slot.network.random):
            return []
        case Checkpoint() if slot.make is None or slot.make_restored:
            return sorted(set(slot.files.values()))
    return everything


def _write_files(slot: Slot, chosen: Options, files: Files, folder: Path) -> None:
    """Write what lies beside the network: artifacts as they are, and what is made of them."""
    match chosen.weights:
        case Random(seed) if slot.make_random:
            slot.make_random(seed, folder)
            return
        case Checkpoint(path) if slot.make_restored:
            slot.make_restored(path, folder)
        case _ if slot.make and files:
            slot.make(files, folder)
    for path_in_folder, name in slot.files.items():
        if name in files:
            _link(files[name], folder / path_in_folder)


def _export_network(slot: Slot, chosen: Options, files: Files, folder: Path) -> dict[str, float]:
    from export import parity

    network = slot.network
    assert network is not None
    path = folder / "1" / chosen.format.filename
    if isinstance(chosen.weights, Checkpoint) and network.compose:
        if chosen.format is not Format.ONNX or chosen.precision is not Precision.FP32:
            raise CheckpointError(
                f"slot {slot.name} takes {chosen.weights.path} as it is: in onnx and fp32 only"
            )
        network.compose(chosen.weights.path, path)
        return {}
    configured = configuration.read(REPOSITORY / slot.name / CONFIG)
    configuration.check(slot.name, network, configured)
    eager = _build(slot, network, chosen, files)
    cases = parity.references(network, eager)
    write_network(slot.name, network, eager, chosen, path)
    return parity.compare(slot.name, network, cases, path, chosen.precision)


def write_network(
    slot: str, network: Network, eager: torch.nn.Module, chosen: Options, path: Path
) -> None:
    """Write the eager network to `path` in the chosen format and precision, unchecked."""
    from export import graph, precision, torchscript

    if chosen.precision is Precision.FP16:
        eager = precision.halve(eager)
    if chosen.format is Format.TORCHSCRIPT:
        if chosen.precision is Precision.INT8:
            eager = precision.quantise(eager)
        torchscript.write(network, eager, path)
        return
    graph.write(network, eager, path)
    configured = configuration.read(REPOSITORY / slot / CONFIG)
    graph.finish(slot, network, configured, chosen.weights, path)
    if chosen.precision is Precision.INT8:
        precision.quantise_onnx(path)


def _build(slot: Slot, network: Network, chosen: Options, files: Files) -> torch.nn.Module:
    import torch

    match chosen.weights:
        case Checkpoint(path):
            assert network.restore is not None
            return network.restore(path)
        case Random(seed) if network.random:
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                return network.random()
    return network.load(files)


def _link(source: Path, target: Path) -> None:
    """Put the cached file there without a copy where the disk allows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copyfile(source, target)


def _move(source: Path, folder: Path) -> None:
    """Move every file into place, and remove what an earlier export has left besides.

    The stamp comes last, so that it never speaks for missing files. Of two exports at once the
    later one's files stay, all of them.
    """
    with _alone(folder):
        earlier = stamp.paths(folder)
        paths = [path for path in sorted(_relative_files(source)) if path != stamp.STAMP]
        (folder / stamp.STAMP).unlink(missing_ok=True)
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).replace(folder / path)
        _remove(folder, earlier - set(paths))
        (source / stamp.STAMP).replace(folder / stamp.STAMP)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time change what is in the folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _remove(folder: Path, paths: set[str]) -> None:
    for path in paths:
        (folder / path).unlink(missing_ok=True)


def copy_handwritten(slot: str, folder: Path) -> None:
    """Copy into a slot's folder of another repository what is written by hand, where it differs."""
    source, exported = REPOSITORY / slot, stamp.paths(folder)
    variants = [str(path.relative_to(source)) for path in source.glob(f"{VARIANTS}/*.pbtxt")]
    stale = [
        path
        for path in (*WRITTEN_BY_HAND, *variants)
        if path not in exported and _differs(source / path, folder / path)
    ]
    if not stale:
        return
    with tempfile.TemporaryDirectory(dir=folder / "1", prefix=UNFINISHED) as temporary:
        for path in stale:
            copied = Path(temporary) / Path(path).name
            shutil.copyfile(source / path, copied)
            (folder / path).parent.mkdir(exist_ok=True)
            copied.replace(folder / path)


def _differs(source: Path, copy: Path) -> bool:
    """Whether there is a source of which this is no copy."""
    return source.is_file() and not (copy.is_file() and filecmp.cmp(source, copy, shallow=False))


def _relative_files(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
