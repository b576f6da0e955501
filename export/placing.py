"""Puts files into a model repository: whole, in an order that never lies, one process at a time."""

from __future__ import annotations

import errno
import filecmp
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from export import files, stamp
from export.configuration import CONFIG, REPOSITORY
from export.errors import StorageError
from export.options import Options, Random

UNFINISHED = ".export-"
"""Start of the name of the folder that an export works in."""
WRITTEN_BY_HAND = (CONFIG, "labels.txt", "1/model.py")
"""What a slot's folder needs besides what is exported, to be served from another repository."""


@contextmanager
def storage(slot: str, folder: Path) -> Iterator[None]:
    """Make a failure to write a StorageError."""
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else str(error)
        raise StorageError(
            f"{slot}: cannot write into {folder}: {reason}. What was there before is unchanged. "
            "Free some space, or choose another folder with --out, and run again."
        ) from error


def move(source: Path, folder: Path) -> None:
    """Move every file into place, and remove what an earlier export has left besides.

    The stamp comes last, so that it never speaks for missing files. Of two exports at once the
    later one's files stay, all of them.
    """
    with files.locked(folder):
        earlier = stamp.paths(folder)
        paths = [path for path in sorted(relative_files(source)) if path != stamp.STAMP]
        (folder / stamp.STAMP).unlink(missing_ok=True)
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).replace(folder / path)
        _remove(folder, earlier - set(paths))
        (source / stamp.STAMP).replace(folder / stamp.STAMP)


def _remove(folder: Path, paths: set[str]) -> None:
    for path in paths:
        (folder / path).unlink(missing_ok=True)


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
    with storage("staging", repository), files.workspace(repository, UNFINISHED) as folder:
        yield folder


def _holds_another(repository: Path, options: Options) -> bool:
    """Whether some slot is filled from another profile, or at random where this is not."""
    stamps = [stamp.read(path.parents[1]) for path in repository.glob(f"*/{stamp.STAMP}")]
    is_random = isinstance(options.weights, Random)
    return any(
        (earlier.get("profile"), str(earlier.get("weights")).startswith("random"))
        != (options.profile, is_random)
        for earlier in stamps
    )


def place(staging: Path, slots: Collection[str], repository: Path) -> None:
    """Move staged slots into the repository.

    Raises:
        StorageError: the repository cannot be written.
    """
    for name in slots:
        folder = repository / name
        with storage(name, folder):
            (folder / "1").mkdir(parents=True, exist_ok=True)
            move(staging / name, folder)
        refresh_configurations(name, repository)


def remove_others(slots: Collection[str], repository: Path = REPOSITORY) -> list[str]:
    """Remove what an export has put into slots that are not among these; return their names.

    A repository holds one profile: what another has left would be served beside it.
    """
    others = [path.parents[1] for path in sorted(repository.glob(f"*/{stamp.STAMP}"))]
    removed = [folder for folder in others if folder.name not in slots]
    for folder in removed:
        _remove(folder, {*stamp.paths(folder), stamp.STAMP})
    return [folder.name for folder in removed]


def remove_leftovers(repository: Path) -> None:
    """Remove what killed exports have left anywhere in the repository."""
    for parent in (repository, *repository.glob("*/1")):
        files.remove_leftovers(parent, UNFINISHED)


def complete(slots: Collection[str], repository: Path) -> None:
    """Copy into another repository than the project's own what is written by hand altogether.

    The ensemble and the steps between the slots: with them it can be served as it is.

    Raises:
        StorageError: the repository cannot be written.
    """
    if _is_own(repository):
        return
    for config in sorted(REPOSITORY.glob(f"*/{CONFIG}")):
        source, folder = config.parent, repository / config.parent.name
        if source.name in slots or _is_optional(source):
            continue
        with storage(source.name, folder):
            # Triton wants a version's folder, also where there is nothing to put in.
            (folder / "1").mkdir(parents=True, exist_ok=True)
            _copy_handwritten(source.name, folder)


def _is_own(repository: Path) -> bool:
    return repository.exists() and repository.samefile(REPOSITORY)


def _is_optional(folder: Path) -> bool:
    from server.repository import is_optional, read_config

    return is_optional(read_config(folder / CONFIG))


def refresh_configurations(slot: str, repository: Path) -> None:
    """Bring a slot's configurations up to date: what is written by hand, and each variant.

    Raises:
        StorageError: the repository cannot be written.
    """
    from export import variants

    folder = repository / slot
    with storage(slot, folder):
        if not _is_own(repository):
            _copy_handwritten(slot, folder)
        variants.write(folder)


def _copy_handwritten(slot: str, folder: Path) -> None:
    """Copy into a slot's folder of another repository what is written by hand, where it differs."""
    source, exported = REPOSITORY / slot, stamp.paths(folder)
    for path in WRITTEN_BY_HAND:
        if path not in exported and _differs(source / path, folder / path):
            files.write(folder / path, partial(_copy, source / path))


def _copy(source: Path, target: BinaryIO) -> None:
    with source.open("rb") as file:
        shutil.copyfileobj(file, target)


def _differs(source: Path, copy: Path) -> bool:
    """Whether there is a source of which this is no copy."""
    return source.is_file() and not (copy.is_file() and filecmp.cmp(source, copy, shallow=False))


def relative_files(folder: Path) -> list[str]:
    """Return every file below the folder, relative to it."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
