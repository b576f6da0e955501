"""File duties of the launcher: atomic writes, and what a server keeps in shared folders.

The files of a server in /dev/shm and in the temporary folder begin with a name of its own. A lock
file of that name is locked for as long as its launcher lives, which other launchers can see also
from other containers that share the folder; a process id says nothing there.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
PREFIX = "vemoclap_"
LOCK = ".lock"


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file that readers see whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


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
    with unlocked.open("x") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Only now is it called a lock: whoever finds it unlocked would remove it.
        unlocked.rename(path)
        try:
            yield
        finally:
            _remove(path)


def remove_leftovers(folder: Path) -> None:
    """Removes the files of launchers that no longer run."""
    for path in folder.glob(f"{PREFIX}*{LOCK}"):
        with suppress(OSError), path.open() as lock:
            # Fails with an OSError while the launcher that locked the file lives.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)


def _remove(lock: Path) -> None:
    """Removes the files of a launcher in the folder of its lock, and the lock last."""
    for path in lock.parent.glob(f"{lock.stem}_*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    lock.unlink(missing_ok=True)
