"""Admits clips while the server can hold them, in the order of their arrival.

An ensemble has no queue of its own: all that is sent to it is at work and in memory. So the models
that clients call, the entries, count the clips and bytes between their arrival and their answer.
What cannot be admitted yet waits; what is too much for that is refused at once.
"""

import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock, lockf
from mmap import mmap
from pathlib import Path
from threading import Lock
from typing import Self

from vemoclap_client.contract import BUSY

ENSEMBLE_PARAMETER = "ensemble"
"""Of an entry's configuration: what it admits requests for."""
FILE_PARAMETER = "admission_file"
"""Likewise, written by the launcher (server/limits.py), with the fields of Limits."""

CALLS_AT_ONCE = 32
"""At least so many, see Limits.calls_at_once."""

PROCESSES_AT_MOST = 64
"""That count in one file."""
NUMBER_BYTES = 8
SHARED_NUMBERS = 3
NUMBERS_OF_PROCESS = 5
FIRST_CLIP_S = 1.0
"""Stands for the time that a clip takes before there was one."""
SMOOTHING = 0.2
"""Share of the latest answer in the mean time per clip."""
REOPENING = 0.5
"""Share of its limits to which a queue that was full must shrink before it takes requests again.
Else whoever was just answered would take each place, before those that were refused."""


@dataclass(frozen=True)
class Limits:
    """What the server holds. The defaults are for a Triton without our launcher.

    Attributes:
        clips_at_once: how many are at work; 16 frames of a timeline count as one.
        bytes_at_once: of their decoded frames and their sound.
        clips_waiting: how many more may wait; 0: none waits.
        bytes_waiting: likewise.
    """

    clips_at_once: int = 16
    bytes_at_once: int = 2**30
    clips_waiting: int = 64
    bytes_waiting: int = 2**30

    @property
    def calls_at_once(self) -> int:
        """Calls of other models that a process makes and Triton passes on."""
        return max(CALLS_AT_ONCE, self.clips_at_once)


@dataclass(eq=False)
class Place:
    """A request's place in the queue or at work.

    Attributes:
        clips: how many it has.
        size: of their frames and sound, in bytes.
        arrived: of time.monotonic.
        admitted: likewise; None while it waits.
    """

    clips: int
    size: int
    arrived: float
    admitted: float | None = None


class BusyError(Exception):
    """The server holds as much as it may: the request can be sent again later."""


class TooLargeError(ValueError):
    """The request by itself is more than the server may hold."""


class Admission:
    """Counts what is at work and what waits, with all processes that count in the same file.

    Each process has a row of the file, which it locks while it lives. What a killed process had
    ends with the next one, which takes its row. Each process keeps a queue of its own requests, and
    its row says when the first of them arrived: the earliest of all is admitted next.
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
        count = SHARED_NUMBERS + NUMBERS_OF_PROCESS * PROCESSES_AT_MOST
        os.truncate(self._file, NUMBER_BYTES * count)
        numbers = memoryview(mmap(self._file, 0)).cast("d")
        # Seconds per clip, while there are clips; when the latest answer was (time.monotonic);
        # whether the queue was full and has not shrunk yet.
        self._shared, rows = numbers[:SHARED_NUMBERS], numbers[SHARED_NUMBERS:]
        self._clips, self._size, self._clips_waiting, self._size_waiting, self._first = (
            rows[column::NUMBERS_OF_PROCESS] for column in range(NUMBERS_OF_PROCESS)
        )
        self._queue: deque[Place] = deque()
        self._thread = Lock()
        with self._alone():
            self._row = self._take_row()

    def arrive(self, clips: int, size: int) -> Place:
        """Counts a request, until `leave`, as at work or as one that waits for `admit`.

        Args:
            clips: how many it has.
            size: of their decoded frames and their sound, in bytes.

        Raises:
            BusyError: the queue is full; the message says when to send the request again.
            TooLargeError: it can never be admitted.
        """
        limits = self.limits
        if clips > limits.clips_at_once or size > limits.bytes_at_once:
            raise TooLargeError(
                f"the request has {_amount(clips, size)}, and this server holds at most "
                f"{_amount(limits.clips_at_once, limits.bytes_at_once)} (python -m server "
                "--clips-at-once, --mb-at-once)"
            )
        place = Place(clips, size, time.monotonic())
        with self._alone():
            if not any(self._first) and self._has_room(place):
                self._begin(place)
            elif self._may_wait(place):
                self._queue.append(place)
                self._count_waiting(place, 1)
            else:
                raise BusyError(self._refusal())
        return place

    def admit(self) -> Place | None:
        """Counts the next request as at work; None: it is another process's, or has no room yet."""
        with self._alone():
            if not self._queue:
                return None
            place = self._queue[0]
            is_next = place.arrived <= min(filter(None, self._first))
            if not is_next or not self._has_room(place):
                return None
            self._queue.popleft()
            self._count_waiting(place, -1)
            self._begin(place)
            return place

    def leave(self, place: Place) -> None:
        """Counts a request no more: it is answered, or was given up while it waited."""
        with self._alone():
            if place.admitted is None:
                self._queue.remove(place)
                self._count_waiting(place, -1)
                return
            self._clips[self._row] -= place.clips
            self._size[self._row] -= place.size
            mean_s, latest, _ = self._shared
            now = time.monotonic()
            clip_s = (now - max(latest, place.admitted)) / place.clips
            self._shared[0] = mean_s + SMOOTHING * (clip_s - mean_s) if mean_s else clip_s
            self._shared[1] = now

    @classmethod
    def of(cls, parameters: Mapping[str, Mapping[str, str]]) -> Self:
        """The admission that the parameters of an entry's configuration (JSON) ask for.

        Raises:
            OSError: see __init__.
        """
        given = {name: value["string_value"] for name, value in parameters.items()}
        names = [field.name for field in fields(Limits) if field.name in given]
        limits = Limits(**{name: int(given[name]) for name in names})
        return cls(limits, Path(given[FILE_PARAMETER]) if FILE_PARAMETER in given else None)

    def _has_room(self, place: Place) -> bool:
        return (
            sum(self._clips) + place.clips <= self.limits.clips_at_once
            and sum(self._size) + place.size <= self.limits.bytes_at_once
        )

    def _begin(self, place: Place) -> None:
        place.admitted = time.monotonic()
        self._clips[self._row] += place.clips
        self._size[self._row] += place.size

    def _may_wait(self, place: Place) -> bool:
        limits = self.limits
        clips, size = sum(self._clips_waiting), sum(self._size_waiting)
        if self._shared[2] and (
            clips > REOPENING * limits.clips_waiting or size > REOPENING * limits.bytes_waiting
        ):
            return False
        fits = clips + place.clips <= limits.clips_waiting
        fits = fits and size + place.size <= limits.bytes_waiting
        self._shared[2] = not fits
        return fits

    def _count_waiting(self, place: Place, sign: int) -> None:
        """Counts what was put into the queue or taken out of it."""
        self._clips_waiting[self._row] += sign * place.clips
        self._size_waiting[self._row] += sign * place.size
        self._first[self._row] = self._queue[0].arrived if self._queue else 0.0

    def _refusal(self) -> str:
        """When the queue takes requests again, or without one when half of the work is done."""
        limits = self.limits
        clips, size = sum(self._clips_waiting), sum(self._size_waiting)
        clips_before = max(
            clips - REOPENING * limits.clips_waiting,
            clips * (1 - REOPENING * limits.bytes_waiting / max(size, 1)),
            1,
        )
        if not clips:
            clips_before = REOPENING * sum(self._clips)
        retry_after_s = clips_before * (self._shared[0] or FIRST_CLIP_S)
        return (
            f"{BUSY} {retry_after_s:.1f} s: {_amount(sum(self._clips), sum(self._size))} are at "
            f"work and {_amount(clips, size)} wait, of at most "
            f"{_amount(limits.clips_at_once, limits.bytes_at_once)} and "
            f"{_amount(limits.clips_waiting, limits.bytes_waiting)}"
        )

    def _take_row(self) -> int:
        for row in range(PROCESSES_AT_MOST):
            try:
                lockf(self._file, LOCK_EX | LOCK_NB, 1, row)
            except BlockingIOError:
                continue
            for column in (self._clips, self._size, self._clips_waiting, self._size_waiting):
                column[row] = 0
            self._first[row] = 0
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
