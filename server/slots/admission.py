"""Admits clips while the server can hold them, and refuses further ones at once.

An ensemble has no queue of its own: all that is sent to it is at work and in memory. So the models
that clients call, the entries, count the clips and bytes between their arrival and their answer.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock, lockf
from mmap import mmap
from pathlib import Path
from threading import Lock
from typing import Self

from vemoclap_client.contract import BUSY

ENSEMBLE_PARAMETER = "ensemble"
"""Of an entry's configuration: what it admits requests for."""
CLIPS_PARAMETER = "clips_at_once"
BYTES_PARAMETER = "bytes_at_once"
FILE_PARAMETER = "admission_file"
"""Likewise, written by the launcher (server/limits.py)."""

CALLS_AT_ONCE = 32
"""Calls of other models that a process makes and Triton passes on; more if more clips are
admitted."""

PROCESSES_AT_MOST = 64
"""That count in one file."""
NUMBER_BYTES = 8
FIRST_CLIP_S = 1.0
"""Stands for the time that a clip takes before there was one."""
SMOOTHING = 0.2
"""Share of the latest answer in the mean time per clip."""
ANSWERED_BEFORE_RETRY = 0.5
"""Share of what is at work that is to be answered before a refused request is sent again."""


@dataclass(frozen=True)
class Limits:
    """What the server holds at once. The defaults are for a Triton without our launcher.

    Attributes:
        clips: how many; 16 frames of a timeline count as one.
        size: of their decoded frames and their sound, in bytes.
    """

    clips: int = 16
    size: int = 2**30


@dataclass(frozen=True)
class Admitted:
    """A request at work.

    Attributes:
        clips: how many it has.
        size: of their frames and sound, in bytes.
        started: of time.monotonic.
    """

    clips: int
    size: int
    started: float


class BusyError(Exception):
    """The server holds as much as it may: the request can be sent again later."""


class TooLargeError(ValueError):
    """The request by itself is more than the server may hold."""


class Admission:
    """Counts what is at work, with all processes that count in the same file.

    Each process has a row of the file, which it locks while it lives. What a killed process had
    admitted ends with the next one, which takes its row.
    """

    def __init__(self, limits: Limits, file: Path | None = None) -> None:
        """Takes a row.

        Args:
            limits: of all processes together.
            file: the file, made if it is not there; None to count alone.

        Raises:
            OSError: the file cannot be used, or all its rows are taken.
        """
        self.limits = limits
        self._file = os.open(file, os.O_RDWR | os.O_CREAT, 0o600) if file else os.memfd_create("")
        os.truncate(self._file, NUMBER_BYTES * 2 * (1 + PROCESSES_AT_MOST))
        numbers = memoryview(mmap(self._file, 0)).cast("d")
        # Seconds per clip, while there are clips; when the latest answer was (time.monotonic).
        self._pace = numbers[:2]
        self._clips, self._size = numbers[2::2], numbers[3::2]
        self._thread = Lock()
        with self._alone():
            self._row = self._take_row()

    def admit(self, clips: int, size: int) -> Admitted:
        """Counts a request as at work, until `release`.

        Args:
            clips: how many it has.
            size: of their decoded frames and their sound, in bytes.

        Raises:
            BusyError: others are at work; the message says when to send it again.
            TooLargeError: it can never be admitted.
        """
        limits = self.limits
        if clips > limits.clips or size > limits.size:
            raise TooLargeError(
                f"the request has {_amount(clips, size)}, and this server holds at most "
                f"{_amount(limits.clips, limits.size)} (python -m server --clips-at-once, "
                "--mb-at-once)"
            )
        with self._alone():
            clips_at_work, size_at_work = sum(self._clips), sum(self._size)
            if clips_at_work + clips > limits.clips or size_at_work + size > limits.size:
                clip_s = self._pace[0] or FIRST_CLIP_S
                retry_after_s = ANSWERED_BEFORE_RETRY * clips_at_work * clip_s
                raise BusyError(
                    f"{BUSY} {retry_after_s:.1f} s: {_amount(clips_at_work, size_at_work)} are at "
                    f"work, and at most {_amount(limits.clips, limits.size)} are admitted"
                )
            self._clips[self._row] += clips
            self._size[self._row] += size
        return Admitted(clips, size, time.monotonic())

    def release(self, admitted: Admitted) -> None:
        """Counts a request as answered."""
        with self._alone():
            self._clips[self._row] -= admitted.clips
            self._size[self._row] -= admitted.size
            mean_s, latest = self._pace
            now = time.monotonic()
            clip_s = (now - max(latest, admitted.started)) / admitted.clips
            self._pace[0] = mean_s + SMOOTHING * (clip_s - mean_s) if mean_s else clip_s
            self._pace[1] = now

    @classmethod
    def of(cls, parameters: Mapping[str, Mapping[str, str]]) -> Self:
        """The admission that the parameters of an entry's configuration (JSON) ask for.

        Raises:
            OSError: see __init__.
        """
        given = {name: value["string_value"] for name, value in parameters.items()}
        limits = Limits(
            int(given.get(CLIPS_PARAMETER, Limits.clips)),
            int(given.get(BYTES_PARAMETER, Limits.size)),
        )
        return cls(limits, Path(given[FILE_PARAMETER]) if FILE_PARAMETER in given else None)

    def _take_row(self) -> int:
        for row in range(PROCESSES_AT_MOST):
            try:
                lockf(self._file, LOCK_EX | LOCK_NB, 1, row)
            except BlockingIOError:
                continue
            self._clips[row] = self._size[row] = 0
            return row
        raise OSError(f"more than {PROCESSES_AT_MOST} processes count what is at work")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other thread and no other process counts meanwhile."""
        with self._thread:
            flock(self._file, LOCK_EX)
            try:
                yield
            finally:
                flock(self._file, LOCK_UN)


def _amount(clips: float, size: float) -> str:
    return f"{clips:.0f} clips of {size / 1e6:.0f} MB"
