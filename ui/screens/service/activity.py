"""What Triton did between two readings of its counters."""

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

from ui.screens.service.state import Counters, ServerState

HISTORY = 90
"""States that are remembered: three minutes of one every two seconds."""


@dataclass(frozen=True)
class Activity:
    """What one model did in an interval of time.

    Attributes:
        seconds: length of the interval; None for all the time since the model was loaded.
        work: what was counted in it.
    """

    seconds: float | None
    work: Counters

    @property
    def per_minute(self) -> float | None:
        """Requests answered in a minute; None where the interval has no known length."""
        return self.work.requests * 60 / self.seconds if self.seconds else None

    @property
    def batch(self) -> float | None:
        """Items in a batch, on average; None where nothing was executed."""
        return _mean(self.work.rows, self.work.executions)

    @property
    def request_ms(self) -> float | None:
        """From a request's arrival to its answer, on average."""
        return _mean(self.work.request_ms, self.work.requests)

    @property
    def queue_ms(self) -> float | None:
        """Of that, waiting."""
        return _mean(self.work.queue_ms, self.work.requests)

    @property
    def compute_ms(self) -> float | None:
        """Of that, working."""
        return _mean(self.work.compute_ms, self.work.requests)


def between(before: Counters, after: Counters, seconds: float | None) -> Activity:
    """What was done between two readings; all of `after` if the model was reloaded meanwhile."""
    return Activity(seconds, after if _fell(before, after) else after - before)


class History:
    """The latest states of a server."""

    def __init__(self, length: int = HISTORY) -> None:
        """Remembers so many states."""
        self._states: deque[ServerState] = deque(maxlen=length)

    def add(self, state: ServerState) -> None:
        """Takes the next state; what was before an outage or a restart is forgotten.

        So is what was before errors were known.
        """
        latest = self.latest
        if state.trouble or (latest and not _goes_on(latest, state)):
            self._states.clear()
        self._states.append(state)

    @property
    def latest(self) -> ServerState | None:
        """The state that was added last."""
        return self._states[-1] if self._states else None

    def recent(self, seconds: float) -> dict[str, Activity]:
        """What each model did in the last `seconds`, or as much of them as is known."""
        latest = self._states[-1]
        first = next(state for state in self._states if state.at_s >= latest.at_s - seconds)
        return {
            name: between(first.counters.get(name, Counters()), counters, latest.at_s - first.at_s)
            for name, counters in latest.counters.items()
        }

    def total(self) -> dict[str, Activity]:
        """What each model did since it was loaded."""
        counters = self._states[-1].counters
        return {name: Activity(None, count) for name, count in counters.items()}

    def steps(self, model: str) -> list[Activity]:
        """What the model did between each state and the next, the oldest first."""
        none = Counters()
        return [
            between(
                before.counters.get(model, none),
                after.counters.get(model, none),
                after.at_s - before.at_s,
            )
            for before, after in pairwise(self._states)
        ]


def _goes_on(before: ServerState, after: ServerState) -> bool:
    counts = before.counters
    has_restarted = any(
        _fell(counts[name], count) for name, count in after.counters.items() if name in counts
    )
    return not has_restarted and before.knows_errors == after.knows_errors


def _fell(before: Counters, after: Counters) -> bool:
    """Whether the model was loaded again, or another server was asked."""
    return any(
        getattr(after, name) < getattr(before, name)
        for name in ("requests", "executions", "errors", "refused")
    )


def _mean(total: float, count: int) -> float | None:
    return total / count if count else None
