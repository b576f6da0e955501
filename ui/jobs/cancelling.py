"""Ends one job's work from another thread, whatever it is waiting for."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager


class Cancellation:
    """Can be asked for once, by any thread; the work looks at it or is interrupted by it."""

    def __init__(self) -> None:
        """Nothing is asked for."""
        self.event = threading.Event()
        self._lock = threading.Lock()
        self._interrupts: list[Callable[[], object]] = []

    def request(self) -> None:
        """Asks for the end and interrupts what the work is waiting for."""
        with self._lock:
            self.event.set()
            interrupts, self._interrupts = self._interrupts, []
        for interrupt in interrupts:
            interrupt()

    def check(self) -> None:
        """Returns if the work may go on.

        Raises:
            CancelledError: it was asked to end.
        """
        if self.event.is_set():
            raise CancelledError

    @contextmanager
    def interrupting(self, interrupt: Callable[[], object]) -> Iterator[None]:
        """Calls `interrupt`, from the thread that asks, if the end is asked for in this block.

        What the block raises because of it comes out as CancelledError.
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
