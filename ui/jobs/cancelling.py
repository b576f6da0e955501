"""Ends one job's work from another thread, whatever it is waiting for."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager


class Cancellation:
    """A request to end one job's work. Any thread may make it; the work checks for it."""

    def __init__(self) -> None:
        """No end is requested yet."""
        self.event = threading.Event()
        self._lock = threading.Lock()
        self._interrupts: list[Callable[[], object]] = []

    def request(self) -> None:
        """Requests the end and interrupts what the work is waiting for."""
        with self._lock:
            self.event.set()
            interrupts, self._interrupts = self._interrupts, []
        for interrupt in interrupts:
            interrupt()

    def check(self) -> None:
        """Returns if the work may go on.

        Raises:
            CancelledError: its end was requested.
        """
        if self.event.is_set():
            raise CancelledError

    @contextmanager
    def interrupting(self, interrupt: Callable[[], object]) -> Iterator[None]:
        """Calls `interrupt`, in the requesting thread, if the end is requested during this block.

        An error that the block then raises becomes a CancelledError.
        """
        with self._lock:
            self.check()
            self._interrupts.append(interrupt)
        try:
            yield
        except Exception as error:
            if self.event.is_set():
                raise CancelledError from error
            raise
        finally:
            with self._lock:
                if interrupt in self._interrupts:
                    self._interrupts.remove(interrupt)
