"""Each process of a slot notes since when it executes requests; the launcher reads the notes.

What a process that answers after its `execute` has returned does, an entry's, is not noted.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path

import numpy as np

FOLDER_VARIABLE = "VEMOCLAP_EXECUTIONS"
"""Of the environment of Triton's processes: the folder with a file per process, named by its id."""


class Execution:
    """What this process executes.

    Its file is one float64: since when requests are executed (time.monotonic, which all processes
    share); 0 while none are, or while they wait for another slot.
    """

    def __init__(self, folder: Path | None) -> None:
        """Makes the file; without a folder, as with a Triton without our launcher, none.

        Raises:
            OSError: the file cannot be written.
        """
        self._since_s = np.zeros(1)
        if folder is not None:
            path = folder / str(os.getpid())
            # Written, not only made as long: on a full disk that is an error, and not a signal.
            path.write_bytes(self._since_s.tobytes())
            with path.open("r+b") as file:
                self._since_s = np.frombuffer(mmap(file.fileno(), 0))
        self._is_running = False
        self._calls = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Requests are executed meanwhile."""
        self._is_running = True
        self._note()
        try:
            yield
        finally:
            self._is_running = False
            self._note()

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Another slot is called meanwhile, which notes for itself what it executes."""
        self._calls += 1
        self._note()
        try:
            yield
        finally:
            self._calls -= 1
            self._note()

    def _note(self) -> None:
        is_at_it = self._is_running and not self._calls
        self._since_s[0] = time.monotonic() if is_at_it else 0.0


def executing_since_s(folder: Path, process_id: int) -> float:
    """What a process has noted; 0 also where it notes nothing, or has just made its file."""
    try:
        noted = (folder / str(process_id)).read_bytes()
    except FileNotFoundError:
        return 0.0
    return float(np.frombuffer(noted)[0]) if noted else 0.0


_folder = os.environ.get(FOLDER_VARIABLE)
EXECUTION = Execution(Path(_folder) if _folder else None)
"""This process's; Triton has a process execute requests one after the other."""
