"""Runs a program whose standard error is a terminal."""

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finished:
    """A program that ended; `shown` is what its terminal received."""

    exit_code: int
    printed: str
    shown: str


def run_on_terminal(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> Finished:
    """Runs it to its end, with these variables besides the usual; standard output is a pipe."""
    reading, terminal = pty.openpty()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
        env={**os.environ, "TERM": "xterm", **(environment or {})},
    ) as program:
        os.close(terminal)
        shown = b"".join(iter(lambda: _read(reading), b""))
        printed, _ = program.communicate()
    os.close(reading)
    return Finished(program.returncode, printed, shown.decode())


def _read(reading: int) -> bytes:
    try:
        return os.read(reading, 4096)
    except OSError:  # Linux says so when the program has closed the terminal.
        return b""
