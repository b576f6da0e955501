"""Sends a request again where that is safe: it has no effect but its answer.

Again: what the server refused as busy, after the time that it names, until the deadline; and what
was lost with a server that answered before, or that is loading, for about a minute. Never what was
rejected, what failed, or what nothing has ever answered.
"""

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from threading import Event as Flag
from typing import Any, TypeVar

import tenacity

from vemoclap_client._waiting import check
from vemoclap_client.errors import ServerLostError, ServerNotReadyError, ServerOverloadedError

AGAIN = (ServerOverloadedError, ServerLostError, ServerNotReadyError)

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 10.0
"""Before an attempt, when the server names no time; doubled each time, and less by chance."""
LATEST = 1.5
"""Of the time that the server names, a request is sent again after one to so many."""
LOST_AT_MOST = 12
"""Attempts that end without an answer: about a minute, and a restart takes a quarter of that."""

Value = TypeVar("Value")


def send_again(
    attempt: Callable[[float], Value], timeout_s: float, cancel: Flag | None = None
) -> Value:
    """What `attempt` returns in the end.

    Args:
        attempt: is given the seconds that are left.
        timeout_s: for all attempts together.
        cancel: when set, a wait ends and no further attempt is made.

    Raises:
        ServerError: that of the last attempt.
        CancelledError: `cancel` was set.
    """
    deadline = time.monotonic() + timeout_s

    def attempt_now() -> Value:
        check(cancel)
        return attempt(deadline - time.monotonic())

    return tenacity.Retrying(**_policy(timeout_s), **_sleep(cancel))(attempt_now)


async def send_again_async(attempt: Callable[[float], Awaitable[Value]], timeout_s: float) -> Value:
    """As send_again; to cancel, cancel the task."""
    deadline = time.monotonic() + timeout_s

    async def attempt_now() -> Value:
        return await attempt(deadline - time.monotonic())

    return await tenacity.AsyncRetrying(**_policy(timeout_s))(attempt_now)


class Attempts:
    """Attempts at what is no function, such as a generator.

    Iterate it, and call `failed` with an error of AGAIN: the next iteration waits, or raises it.
    Leave it after an attempt that did not fail.
    """

    def __init__(self, timeout_s: float, cancel: Flag | None = None) -> None:
        """As send_again."""
        self._deadline = time.monotonic() + timeout_s
        self._policy = _policy(timeout_s)
        self._cancel = cancel
        self._attempt: tenacity.AttemptManager

    def __iter__(self) -> Iterator[float]:
        """The seconds that are left, once for each attempt."""
        for attempt in tenacity.Retrying(**self._policy, **_sleep(self._cancel)):
            check(self._cancel)
            self._attempt = attempt
            yield self._deadline - time.monotonic()

    async def __aiter__(self) -> AsyncIterator[float]:
        """As __iter__."""
        async for attempt in tenacity.AsyncRetrying(**self._policy):
            self._attempt = attempt
            yield self._deadline - time.monotonic()

    def failed(self, error: Exception) -> None:
        """This attempt ended with an error of AGAIN."""
        self._attempt.__exit__(type(error), error, error.__traceback__)


def _policy(timeout_s: float) -> dict[str, Any]:
    return {
        "retry": tenacity.retry_if_exception_type(AGAIN),
        "stop": tenacity.stop_before_delay(timeout_s) | _LostTooOften(),
        "wait": _wait_s,
        "reraise": True,
    }


def _sleep(cancel: Flag | None) -> dict[str, Any]:
    return {"sleep": tenacity.sleep_using_event(cancel)} if cancel else {}


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _wait_s(state: tenacity.RetryCallState) -> float:
    """Of random length, so that clients that were refused together do not come back together.

    Not before the time that the server names, when half of its queue is still full, and before as
    much time again has passed, when it would have nothing left to do.
    """
    error = _error(state)
    if isinstance(error, ServerOverloadedError) and error.retry_after_s is not None:
        return random.uniform(1, LATEST) * max(error.retry_after_s, FIRST_WAIT_S)
    doubled_s = min(FIRST_WAIT_S * 2.0 ** (state.attempt_number - 1), LONGEST_WAIT_S)
    return random.uniform(0.5, 1) * doubled_s


class _LostTooOften(tenacity.stop.stop_base):
    def __init__(self) -> None:
        self._count = 0

    def __call__(self, state: tenacity.RetryCallState) -> bool:
        self._count += not isinstance(_error(state), ServerOverloadedError)
        return self._count >= LOST_AT_MOST
