"""Removes what a killed process could not remove itself."""

import shutil
import time
from pathlib import Path

OLD_S = 3600
"""Younger ones may belong to a process that is still at work."""


def remove_leftovers(folder: Path, prefix: str) -> None:
    """Delete the files and folders directly in `folder` that start so and are older than an hour.

    One that cannot be deleted stays: it is in nobody's way.
    """
    for path in folder.glob(f"{prefix}*"):
        if not _is_old(path):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            _unlink(path)


def _is_old(path: Path) -> bool:
    # By the last change of any kind: a file that is fetched is given an old time of writing just
    # before it is moved into place.
    try:
        return time.time() - path.lstat().st_ctime > OLD_S
    except OSError:  # its process has just removed it
        return False


def _unlink(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        return
