"""Locks the app's folder, and lists what is old in one."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from vemoclap_client.files import locked


class FolderInUseError(RuntimeError):
    """Another process has the folder's lock."""


class FolderLock:
    """A lock that the system releases when its process ends, however that happens."""

    def __init__(self, folder: Path) -> None:
        """Nothing is locked yet."""
        self._path = folder / "app.lock"
        self._held: ExitStack | None = None

    def acquire(self) -> None:
        """Takes the lock; does nothing if it is held already.

        Raises:
            FolderInUseError: another process has it.
        """
        if self._held is not None:
            return
        self._path.touch(mode=0o600)
        held = ExitStack()
        try:
            held.enter_context(locked(self._path, wait=False))
        except BlockingIOError as error:
            raise FolderInUseError(
                f"another app is using {self._path.parent}: stop it, or give this one a folder of "
                "its own with $VEMOCLAP_APP_DATA"
            ) from error
        self._held = held

    def release(self) -> None:
        """Gives it back; does nothing if it is not held."""
        if self._held is not None:
            self._held.close()
            self._held = None


def size_bytes(path: Path) -> int:
    """The bytes of a file, or of all files in a folder and its folders; 0 if it is not there."""
    total = 0
    files = [str(path)] if path.is_file() else _files_below(path)
    for file in files:
        with suppress(FileNotFoundError):  # It may be removed at this moment.
            total += os.lstat(file).st_size
    return total


def _files_below(folder: Path) -> Iterator[str]:
    for inner, _, names in os.walk(folder):
        yield from (os.path.join(inner, name) for name in names)  # noqa: PTH118, a Path costs more


def old_entries(folder: Path, limit: float) -> Iterator[Path]:
    """What lies in a folder and was last changed before `limit`, in seconds since 1970."""
    if folder.is_dir():
        for path in list(folder.iterdir()):
            # It may be taken over, or removed, at this moment.
            with suppress(FileNotFoundError):
                if path.lstat().st_mtime < limit:
                    yield path
