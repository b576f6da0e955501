"""Waits of a thread that can be cancelled."""

from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Thread
from typing import TypeAlias, TypeVar, cast

POLL_INTERVAL_S = 0.1
"""How often a waiting thread checks whether it was cancelled."""

Value = TypeVar("Value")
Outcome: TypeAlias = tuple[Value | None, BaseException | None]
"""A value or, in its place, the error."""


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


def iterate_cancellable(values: Generator[Value], cancel: Flag | None) -> Generator[Value]:
    """What `values` yields or raises; each is computed as run_cancellable's.

    Raises:
        CancelledError: `cancel` was set.
    """
    is_left = Flag()

    def compute() -> list[Value]:
        computed = list(islice(values, 1))
        if is_left.is_set():
            values.close()
        return computed

    try:
        while found := run_cancellable(compute, cancel):
            yield found.pop()
    finally:
        is_left.set()
        # An error says that a thread still runs it, which then closes it.
        with suppress(ValueError):
            values.close()


def submit(work: Callable[[Flag], Value]) -> Future[Value]:
    """Has a thread do the work; the flag is set when the future is cancelled."""
    future: Future[Value] = Future()
    ended = Flag()
    future.add_done_callback(lambda _: ended.set())

    def run() -> None:
        try:
            value = work(ended)
        except BaseException as error:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
        else:
            if future.set_running_or_notify_cancel():
                future.set_result(value)

    Thread(target=run, name="vemoclap-part", daemon=True).start()
    return future


def run_at_most(seconds: float, work: Callable[[], object]) -> None:
    """Has a thread do the work, and leaves it alone when it takes longer."""
    thread = Thread(target=work, name="vemoclap-end", daemon=True)
    thread.start()
    thread.join(seconds)


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
        return cast(Value, value)


def check(cancel: Flag | None) -> None:
    """Returns unless `cancel` is set.

    Raises:
        CancelledError: it is set.
    """
    if cancel is not None and cancel.is_set():
        raise CancelledError("the classification was cancelled")
