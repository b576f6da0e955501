"""Keeps a few windows of a clip at work on the server, blocking and for asyncio.

While the server works, the next window is decoded. With several at work the server can form
batches; few of them, so that little is held.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from vemoclap_client.errors import VemoclapError
from vemoclap_client.media.windows import DecodedWindow
from vemoclap_client.timeline import Answered

IN_FLIGHT_MAX = 4
"""Windows that the server works on at a time, unless told otherwise."""


class Pending(Protocol):
    """A window that the server works on."""

    def done(self) -> bool:
        """Whether `result` returns at once."""

    def result(self) -> Answered:
        """Waits for the answer; raises what went wrong."""

    def cancel(self) -> None:
        """Lets the server drop it; does nothing if it is done."""


def answers_in_order(
    stretches: Generator[DecodedWindow],
    submit: Callable[[DecodedWindow], Pending],
    in_flight_max: int = IN_FLIGHT_MAX,
) -> Generator[Answered]:
    """Have windows worked on, few at a time, and give the answers in the windows' order.

    However it ends, nothing is left at work and the clip is closed. An error of the clip is
    raised once everything before it was given.
    """
    pending: deque[Pending] = deque()
    failure: VemoclapError | None = None
    try:
        while True:
            try:
                stretch = next(stretches, None)
            except VemoclapError as error:
                failure = error
                break
            if stretch is None:
                break
            while pending and (len(pending) >= in_flight_max or pending[0].done()):
                yield _first_of(pending)
            pending.append(submit(stretch))
        while pending:
            yield _first_of(pending)
    finally:
        for left in pending:
            left.cancel()
        stretches.close()
    if failure is not None:
        raise failure


def _first_of(pending: deque[Pending]) -> Answered:
    # It stays in the queue while it is waited for, so that an interruption cancels it too.
    answered = pending[0].result()
    pending.popleft()
    return answered


async def answers_in_order_async(
    stretches: Generator[DecodedWindow],
    submit: Callable[[DecodedWindow], Coroutine[None, None, Answered]],
    in_flight_max: int = IN_FLIGHT_MAX,
) -> AsyncGenerator[Answered]:
    """As answers_in_order; decoding runs in a thread."""
    loop = asyncio.get_running_loop()
    pending: deque[asyncio.Task[Answered]] = deque()
    failure: VemoclapError | None = None
    # One thread only touches the open files: closing them waits in line behind decoding.
    decoder = ThreadPoolExecutor(1)
    try:
        while True:
            try:
                stretch = await loop.run_in_executor(decoder, next, stretches, None)
            except VemoclapError as error:
                failure = error
                break
            if stretch is None:
                break
            while pending and (len(pending) >= in_flight_max or pending[0].done()):
                yield await _first_of_tasks(pending)
            pending.append(asyncio.create_task(submit(stretch)))
        while pending:
            yield await _first_of_tasks(pending)
    finally:
        for left in pending:
            left.cancel()
        decoder.submit(stretches.close)
        decoder.shutdown(wait=False)
        await asyncio.gather(*pending, return_exceptions=True)
    if failure is not None:
        raise failure


async def _first_of_tasks(pending: deque[asyncio.Task[Answered]]) -> Answered:
    answered = await pending[0]
    pending.popleft()
    return answered
