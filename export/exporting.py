"""From a slot's declaration to a checked folder of the model repository."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from export import configuration, stamp
from export.errors import CheckpointError
from export.leftovers import remove_leftovers
from export.options import Checkpoint, Format, Options, Precision, Pretrained, Random
from export.placing import (
    CONFIG,
    REPOSITORY,
    UNFINISHED,
    copy_handwritten,
    link,
    move,
    relative_files,
    remove,
    storage,
)
from export.spec import Files, Network, Slot
from export.weights import fetch_all

if TYPE_CHECKING:
    import torch

MODEL = f"1/{Format.ONNX.filename}"


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
    staging: Path | None = None,
) -> Report:
    """Fill `<repository>/<slot>` unless an earlier export is still good.

    Args:
        slot: what to put there.
        repository: model repository. Into another one than the project's own, what is written by
            hand is copied too, so that it can be served as it is.
        force: export even when an earlier export is still good.
        options: format, precision and weights.
        staging: where the files are left instead, for `place` to move them; see `replacement`.

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
    if staging is not None:
        with storage(slot.name, staging):
            (staging / slot.name).mkdir()
            figures = _fill(slot, chosen, staging / slot.name)
        return _report(slot, chosen, figures, time.perf_counter() - started)
    with storage(slot.name, folder):
        (folder / "1").mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder / "1", UNFINISHED)
        # Inside the version's folder: Triton looks for no model there, and a move stays on one
        # disk.
        with tempfile.TemporaryDirectory(dir=folder / "1", prefix=UNFINISHED) as temporary:
            figures = _fill(slot, chosen, Path(temporary))
            move(Path(temporary), folder)
    refresh_handwritten(slot, repository)
    return _report(slot, chosen, figures, time.perf_counter() - started)


@contextmanager
def replacement(repository: Path, options: Options) -> Iterator[Path | None]:
    """A folder to stage a whole profile in, where it is to replace another; else None.

    A repository that is half of one profile and half of another cannot be served: so the new one
    comes as a whole, or not at all.

    Raises:
        StorageError: the repository cannot be written.
    """
    if not _holds_another(repository, options):
        yield None
        return
    with (
        storage("staging", repository),
        tempfile.TemporaryDirectory(dir=repository, prefix=UNFINISHED) as folder,
    ):
        yield Path(folder)


def place(staging: Path, slots: Sequence[Slot], repository: Path) -> None:
    """Move staged slots into the repository.

    Raises:
        StorageError: the repository cannot be written.
    """
    for slot in slots:
        folder = repository / slot.name
        with storage(slot.name, folder):
            (folder / "1").mkdir(parents=True, exist_ok=True)
            move(staging / slot.name, folder)
        refresh_handwritten(slot, repository)


def _holds_another(repository: Path, options: Options) -> bool:
    """Whether some slot is filled from another profile, or at random where this is not."""
    stamps = [stamp.read(path.parents[1]) for path in repository.glob(f"*/{stamp.STAMP}")]
    is_random = isinstance(options.weights, Random)
    return any(
        (earlier.get("profile"), str(earlier.get("weights")).startswith("random"))
        != (options.profile, is_random)
        for earlier in stamps
    )


def refresh_handwritten(slot: Slot, repository: Path) -> None:
    """Copy what is written by hand, as it is now, unless this is the project's own repository.

    Raises:
        StorageError: the repository cannot be written.
    """
    folder = repository / slot.name
    with storage(slot.name, folder):
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
        remove(folder, {*stamp.paths(folder), stamp.STAMP})
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
        with storage(source.name, folder):
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


def _fill(slot: Slot, chosen: Options, folder: Path) -> dict[str, float]:
    """Write all of the slot's files, checked, into an empty folder; the stamp comes last."""
    (folder / "1").mkdir()
    files = fetch_all(_needed(slot, chosen))
    # Only now: of some files the hub tells the checksum when they are fetched.
    current = _stamp(slot, chosen)
    # First what may still have to be fetched: nobody waits for a network in vain.
    _write_files(slot, chosen, files, folder)
    figures = _export_network(slot, chosen, files, folder) if slot.network else {}
    for path, text in slot.texts.items():
        (folder / path).write_text(text, encoding="utf-8")
    described = stamp.describe(folder, current, relative_files(folder), figures)
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
            link(files[name], folder / path_in_folder)


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
