"""Waits for the outcome of a thread's work, or for the request to wait no longer."""

from collections.abc import Callable
from concurrent.futures import CancelledError
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Thread
from typing import TypeAlias, TypeVar

POLL_INTERVAL_S = 0.1
"""How often a waiting thread checks whether it was cancelled."""

Value = TypeVar("Value")
Outcome: TypeAlias = tuple[Value | None, BaseException | None]
"""A value or, in its place, the error."""


def check(cancel: Flag | None) -> None:
    """Returns if the work may go on.

    Raises:
        CancelledError: `cancel` was set.
    """
    if cancel is not None and cancel.is_set():
        raise CancelledError("the classification was cancelled")


def run_cancellable(work: Callable[[], Value], cancel: Flag | None) -> Value:
    """What `work` returns or raises; it runs in a thread, and is left alone when cancelled.

    Raises:
        CancelledError: `cancel` was set.
    """
    outcomes: SimpleQueue[Outcome[Value]] = SimpleQueue()

    def run() -> None:
        try:
            outcomes.put((work(), None))
        except BaseException as error:
            outcomes.put((None, error))

    Thread(target=run, name="vemoclap-decode", daemon=True).start()
    return next_outcome(outcomes, cancel)


def next_outcome(outcomes: "SimpleQueue[Outcome[Value]]", cancel: Flag | None) -> Value:
    """Waits for the queue's next outcome, and returns or raises it.

    Raises:
        CancelledError: `cancel` was set.
    """
    while True:
        check(cancel)
        try:
            value, error = outcomes.get(timeout=POLL_INTERVAL_S)
        except Empty:
            continue
        if error is not None:
            raise error
        return value  # type: ignore[return-value]
