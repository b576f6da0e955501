"""Lets one app at a time work on the jobs of a folder."""

import fcntl
import os
from pathlib import Path


class DataFolderInUseError(RuntimeError):
    """Another app is at work on the same folder."""


class DataFolderLock:
    """A lock that the system releases when its process ends, however that happens."""

    def __init__(self, data: Path) -> None:
        """Nothing is locked yet."""
        self._data = data
        self._file: int | None = None

    def acquire(self) -> None:
        """Takes the lock; does nothing if it is held already.

        Raises:
            DataFolderInUseError: another app has it.
        """
        if self._file is not None:
            return
        file = os.open(self._data / "app.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(file)
            raise DataFolderInUseError(
                f"another app is using {self._data}: stop it, or give this one a folder of its "
                "own with $VEMOCLAP_APP_DATA"
            ) from error
        self._file = file

    def release(self) -> None:
        """Gives it back; does nothing if it is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
