"""Files that are whole or not there, locks, checksums; nothing left of a killed process."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from export.errors import StorageError


def write(path: Path, fill: Callable[[BinaryIO], object], synced: bool = True) -> None:
    """Write a file beside its place, and move it there when it is complete.

    Args:
        path: where it goes; its folder is made.
        fill: writes the content.
        synced: whether to wait for the disk, so that it survives a power cut too.

    Raises:
        StorageError: the disk is full, or the folder read-only.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with _storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                fill(file)
                if synced:
                    file.flush()
                    os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file; see `write`."""
    write(path, lambda file: file.write(text.encode()))


@contextmanager
def _storage(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error}. What was there before is unchanged; make room, or "
            "choose another folder, and run again: it goes on where it stopped."
        ) from error


def checksum(path: Path) -> str:
    """Return the sha256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def link_or_copy(source: Path, target: Path) -> None:
    """Put a file into a new place, without a copy where the disk allows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, or another user's file
        shutil.copyfile(source, target)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time in, as far as all of them lock this file or folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def workspace(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder in `parent`, which is removed at the end.

    It is locked as long as its process lives. So what a killed one left can be told from what
    another one works in, and is removed here first.
    """
    with locked(parent):
        _remove_unlocked(parent, prefix)
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def remove_leftovers(parent: Path, prefix: str) -> None:
    """Remove from `parent` the workspaces of killed processes."""
    if any(parent.glob(f"{prefix}*")):
        with locked(parent):
            _remove_unlocked(parent, prefix)


def _remove_unlocked(parent: Path, prefix: str) -> None:
    for path in parent.glob(f"{prefix}*"):
        with suppress(OSError):  # its process lives, or has just removed it
            handle = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            finally:
                os.close(handle)
