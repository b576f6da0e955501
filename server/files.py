"""What a server keeps in shared folders: a name of its own, and the files that begin with it.

A lock file of that name is locked for as long as its launcher lives, which other launchers can see
also from other containers that share the folder; a process id says nothing there.
"""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from vemoclap_client import files

SHARED_MEMORY = Path("/dev/shm")
PREFIX = "vemoclap_"
LOCK = ".lock"


@contextmanager
def reserved_name(folders: Sequence[Path]) -> Iterator[str]:
    """A name that no other launcher has; removes `<name>_*` from the folders afterwards.

    Removes the files of killed launchers first.
    """
    name = f"{PREFIX}{os.getpid()}_{secrets.token_hex(4)}"
    with ExitStack() as locks:
        for folder in folders:
            remove_leftovers(folder)
            locks.enter_context(_locked(folder, name))
        yield name


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    path = folder / f"{name}{LOCK}"
    unlocked = folder / f".{name}"
    unlocked.touch(exist_ok=False)
    with files.locked(unlocked):
        # Only now is it called a lock: whoever finds it unlocked would remove it.
        unlocked.rename(path)
        try:
            yield
        finally:
            _remove(path)


def remove_leftovers(folder: Path) -> None:
    """Removes the files of launchers that no longer run."""
    files.remove_leftovers(folder, f"{PREFIX}*{LOCK}", _remove)


def _remove(lock: Path) -> None:
    """Removes the files of a launcher in the folder of its lock, and the lock last."""
    for path in lock.parent.glob(f"{lock.stem}_*"):
        files.remove(path)
    files.remove(lock)
