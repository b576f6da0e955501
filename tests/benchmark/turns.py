"""Takes turns: what is compared is measured in alternation, as often as the time allows."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Found = TypeVar("Found")


@dataclass(frozen=True)
class Turn(Generic[Found]):
    """Something that is measured again and again."""

    name: str
    measure: Callable[[], Found]


def take_turns(
    turns: Sequence[Turn[Found]],
    seconds: float,
    report: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> list[Found]:
    """Measures every turn once, and again in the same order while there is time for it.

    Args:
        turns: in order.
        seconds: that all may take. Each is measured at least once, however long that takes.
        report: is given a line about each.
        clock: the seconds that have gone by.
    """
    started = clock()
    counts, lasted = [0] * len(turns), [0.0] * len(turns)
    found: list[Found] = []
    while True:
        left = seconds - (clock() - started)
        due = [index for index, count in enumerate(counts) if not count or lasted[index] <= left]
        if not due:
            return found
        index = min(due, key=lambda one: (counts[one], one))
        before = clock()
        found.append(turns[index].measure())
        lasted[index] = clock() - before
        counts[index] += 1
        report(f"{turns[index].name}: {lasted[index]:.1f} s, time no. {counts[index]}")
