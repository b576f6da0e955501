"""Writes and removes files, and locks a folder."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

UNFINISHED = ".part"
"""Suffix of a file or folder that is being written."""


class FolderInUseError(RuntimeError):
    """Another process has the folder's lock."""


class FolderLock:
    """A lock that the system releases when its process ends, however that happens."""

    def __init__(self, folder: Path) -> None:
        """Nothing is locked yet."""
        self._path = folder / "app.lock"
        self._file: int | None = None

    def acquire(self) -> None:
        """Takes the lock; does nothing if it is held already.

        Raises:
            FolderInUseError: another process has it.
        """
        if self._file is not None:
            return
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(file)
            raise FolderInUseError(
                f"another app is using {self._path.parent}: stop it, or give this one a folder of "
                "its own with $VEMOCLAP_APP_DATA"
            ) from error
        self._file = file

    def release(self) -> None:
        """Gives it back; does nothing if it is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Has `write` make a file beside `path`, which then takes its name.

    Several processes may do so at once: each writes a file of its own.
    """
    unfinished = path.with_name(f"{path.stem}-{secrets.token_hex(4)}{UNFINISHED}")
    try:
        write(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Removes a file, or a folder with all in it; does nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def old_entries(folder: Path, limit: float) -> Iterator[Path]:
    """What lies in a folder and was last changed before `limit`, in seconds since 1970."""
    if folder.is_dir():
        for path in list(folder.iterdir()):
            # It may be taken over, or removed, at this moment.
            with suppress(FileNotFoundError):
                if path.lstat().st_mtime < limit:
                    yield path
