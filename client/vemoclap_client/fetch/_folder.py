"""The temporary folder of a download, removed whatever happens."""

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vemoclap_client.errors import OutputError

PREFIX = ".vemoclap-fetch-"

NEWEST_LEFTOVER_S = 60.0
"""A folder younger than this may not be locked yet."""


@contextmanager
def temporary_folder(parent: Path | None) -> Iterator[Path]:
    """A new folder in `parent`, removed afterwards. Removes what killed processes left there.

    Raises:
        OutputError: no folder can be made there.
    """
    parent = parent or Path(tempfile.gettempdir())
    _remove_leftovers(parent)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent)).absolute()
    except OSError as error:
        raise OutputError(f"cannot make a folder for the download in {parent}: {error}") from error
    # The lock shows others that this folder is in use, and ends with this process.
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_leftovers(parent: Path) -> None:
    with suppress(OSError):
        for folder in parent.glob(f"{PREFIX}*"):
            with suppress(OSError):
                _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    found = folder.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not is_ours or time.time() - found.st_mtime < NEWEST_LEFTOVER_S:
        return
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # Fails while its process lives.
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
