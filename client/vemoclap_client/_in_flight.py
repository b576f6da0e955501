"""Keeps a few windows of a clip at work on the server, blocking and for asyncio.

While the server works, the next window is decoded. With several at work the server can form
batches; few of them, so that little is held.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor

from vemoclap_client.errors import VemoclapError
from vemoclap_client.media.windows import DecodedWindow
from vemoclap_client.timeline import ClassifiedWindow

IN_FLIGHT_MAX = 4
"""Windows that the server works on at a time, by default."""


def classify_in_order(
    windows: Generator[DecodedWindow],
    submit: Callable[[DecodedWindow], Future[ClassifiedWindow]],
    in_flight_max: int = IN_FLIGHT_MAX,
) -> Generator[ClassifiedWindow]:
    """Classifies windows, few at a time, and yields them in their order.

    However it ends, nothing is left at work and `windows` is closed. An error of `windows` is
    raised once everything before it was yielded.
    """
    pending: deque[Future[ClassifiedWindow]] = deque()
    failure: VemoclapError | None = None
    try:
        while True:
            try:
                window = next(windows, None)
            except VemoclapError as error:
                failure = error
                break
            if window is None:
                break
            while pending and (len(pending) >= in_flight_max or pending[0].done()):
                yield _wait_for_first(pending)
            pending.append(submit(window))
        while pending:
            yield _wait_for_first(pending)
    finally:
        for request in pending:
            request.cancel()
        windows.close()
    if failure is not None:
        raise failure


def _wait_for_first(pending: deque[Future[ClassifiedWindow]]) -> ClassifiedWindow:
    # It stays in the queue while it is waited for, so that an interruption cancels it too.
    classified = pending[0].result()
    pending.popleft()
    return classified


async def classify_in_order_async(
    windows: Generator[DecodedWindow],
    submit: Callable[[DecodedWindow], Coroutine[None, None, ClassifiedWindow]],
    in_flight_max: int = IN_FLIGHT_MAX,
) -> AsyncGenerator[ClassifiedWindow]:
    """As classify_in_order; decoding runs in a thread."""
    loop = asyncio.get_running_loop()
    pending: deque[asyncio.Task[ClassifiedWindow]] = deque()
    failure: VemoclapError | None = None
    # One thread only touches the open file: closing it waits in line behind decoding.
    decoder = ThreadPoolExecutor(1)
    try:
        while True:
            try:
                window = await loop.run_in_executor(decoder, next, windows, None)
            except VemoclapError as error:
                failure = error
                break
            if window is None:
                break
            while pending and (len(pending) >= in_flight_max or pending[0].done()):
                yield await _first_task(pending)
            pending.append(asyncio.create_task(submit(window)))
        while pending:
            yield await _first_task(pending)
    finally:
        for task in pending:
            task.cancel()
        decoder.submit(windows.close)
        decoder.shutdown(wait=False)
        await asyncio.gather(*pending, return_exceptions=True)
    if failure is not None:
        raise failure


async def _first_task(pending: deque[asyncio.Task[ClassifiedWindow]]) -> ClassifiedWindow:
    classified = await pending[0]
    pending.popleft()
    return classified
