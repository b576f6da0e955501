"""Keeps a few parts of a clip at work on the server, and gives its windows in their order.

While the server works, the next part is decoded. With several at work the server can form
batches; few of them, so that little is held.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from contextvars import copy_context
from functools import partial
from typing import Any

from vemoclap_client._gathering import EncodedParts, GatheredWindow, Send
from vemoclap_client.errors import VemoclapError
from vemoclap_client.media.parts import DecodedWindow, Part
from vemoclap_client.timeline import ClassifiedWindow, Window

IN_FLIGHT_MAX = 4
"""Parts that the server works on at a time, by default; a block of 16 frames is one."""


def classify_in_order(
    parts: Generator[Part | DecodedWindow],
    send: Send,
    fuse: Callable[[GatheredWindow], ClassifiedWindow],
    in_flight_max: int = IN_FLIGHT_MAX,
) -> Generator[ClassifiedWindow]:
    """Has parts encoded, few at a time, and yields the windows that are fused from them.

    However it ends, nothing is left at work and `parts` is closed. An error of `parts` is raised
    once everything before it was yielded.
    """
    encoded = EncodedParts(send)
    at_work: set[Future[Any]] = set()
    waiting: deque[DecodedWindow] = deque()
    failure: VemoclapError | None = None
    try:
        while True:
            try:
                part = next(parts, None)
            except VemoclapError as error:
                failure = error
                break
            if part is None:
                break
            if isinstance(part, DecodedWindow):
                waiting.append(part)
            else:
                if len(at_work) >= in_flight_max:
                    at_work -= wait(at_work, return_when=FIRST_COMPLETED).done
                at_work.add(encoded.submit(part))
            while waiting and all(future.done() for future in encoded.needed(waiting[0])):
                yield fuse(encoded.gather(waiting.popleft()))
        while waiting:
            yield fuse(encoded.gather(waiting.popleft()))
    finally:
        for request in at_work:
            request.cancel()
        parts.close()
    if failure is not None:
        raise failure


def windows_of(classified: Generator[ClassifiedWindow]) -> Generator[Window]:
    """The windows alone; closes `classified` in the end."""
    with closing(classified):
        for each in classified:
            yield each.window


async def iterate_in_thread(
    windows: Generator[ClassifiedWindow], interrupt: Callable[[], None]
) -> AsyncGenerator[ClassifiedWindow]:
    """What a blocking generator yields, from a thread of its own.

    Args:
        windows: is closed in the end, by the same thread.
        interrupt: makes what the thread waits for fail, so that it ends soon.
    """
    loop = asyncio.get_running_loop()
    thread = ThreadPoolExecutor(1, thread_name_prefix="vemoclap-timeline")
    following = partial(copy_context().run, next, windows, None)
    try:
        while (window := await loop.run_in_executor(thread, following)) is not None:
            yield window
    finally:
        interrupt()
        thread.submit(windows.close)
        thread.shutdown(wait=False)
