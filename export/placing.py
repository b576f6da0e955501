"""Puts files into a model repository: whole, in an order that never lies, one process at a time."""

from __future__ import annotations

import errno
import fcntl
import filecmp
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from export import stamp
from export.errors import StorageError

REPOSITORY = stamp.PROJECT / "model_repository"
CONFIG = "config.pbtxt"
VARIANTS = "configs"
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


def link(source: Path, target: Path) -> None:
    """Put the cached file there without a copy where the disk allows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copyfile(source, target)


def move(source: Path, folder: Path) -> None:
    """Move every file into place, and remove what an earlier export has left besides.

    The stamp comes last, so that it never speaks for missing files. Of two exports at once the
    later one's files stay, all of them.
    """
    with _alone(folder):
        earlier = stamp.paths(folder)
        paths = [path for path in sorted(relative_files(source)) if path != stamp.STAMP]
        (folder / stamp.STAMP).unlink(missing_ok=True)
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).replace(folder / path)
        remove(folder, earlier - set(paths))
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


def remove(folder: Path, paths: set[str]) -> None:
    """Remove these files of the folder, where they are."""
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


def relative_files(folder: Path) -> list[str]:
    """Return every file below the folder, relative to it."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
