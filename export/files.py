"""Files that are there completely or not at all, whenever the program is killed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


def checksum(path: Path) -> str:
    """Return a file's sha256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _storage(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error}. What was there before is unchanged; make room, or "
            "choose another folder, and run again: it goes on where it stopped."
        ) from error
