"""One Markdown table of what was measured, the ratios first."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tests.benchmark.figures import (
    BASELINE,
    CLIENT,
    DIRECT,
    LIMIT,
    SEQUENTIAL,
    SERVED,
    Figures,
    Limit,
    Measurement,
)

COLUMNS = (SERVED, BASELINE, SEQUENTIAL, DIRECT, LIMIT)
FILES = "files"
PERCENTILES = (50, 95, 99)
LEAST_SHOWN_S = 0.005
"""Slots that use less processor time a clip, in every column, are left out of the table."""
NONE = "-"

Row = tuple[str, Mapping[str, str]]
"""What is measured, and column -> figure."""


def render(figures: Figures) -> str:
    """The table, below a line about the run."""
    report = _Report(figures)
    rows = [(name, cells) for name, cells in report.rows() if cells]
    columns = [name for name in COLUMNS if any(name in cells for _, cells in rows)]
    titles = [figures.about["baseline"] if name == BASELINE else name for name in columns]
    lines = ["; ".join(f"{key}: {value}" for key, value in figures.about.items()), ""]
    lines.append(f"| | {' | '.join(titles)} |")
    lines.append(f"| --- |{' ---: |' * len(columns)}")
    for name, cells in rows:
        lines.append(f"| {name} | {' | '.join(cells.get(column, NONE) for column in columns)} |")
    return "\n".join(lines)


def rate(measurements: Sequence[Measurement]) -> float:
    """Clips per second, the median of the repetitions."""
    return statistics.median(one.clips / one.seconds for one in measurements)


def percentile_s(measurements: Sequence[Measurement], percent: int) -> float:
    """A percentile of the latencies of all repetitions."""
    latencies_s = [value for one in measurements for value in one.latencies_s]
    return float(np.percentile(latencies_s, percent))


def processor_s(measurements: Sequence[Measurement]) -> dict[str, float]:
    """Slot -> processor seconds a clip, the median of the repetitions."""
    names = sorted({name for one in measurements for name in one.processor_s})
    return {
        name: statistics.median(one.processor_s.get(name, 0.0) / one.clips for one in measurements)
        for name in names
    }


def total_s(measurements: Sequence[Measurement]) -> float:
    """Processor seconds a clip without the client's, the median of the repetitions."""
    return statistics.median(
        sum(value for name, value in one.processor_s.items() if name != CLIENT) / one.clips
        for one in measurements
    )


def limit_rate(limit: Limit) -> float:
    """Clips per second with every processor, or the GPU, busy with the networks alone."""
    return limit.devices / sum(limit.seconds.values())


class _Report:
    """The rows of one run."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._levels = figures.levels
        self._by_kind: dict[tuple[str, int], list[Measurement]] = {}
        for one in figures.measurements:
            self._by_kind.setdefault((one.subject, one.in_flight), []).append(one)

    def of(self, subject: str, in_flight: int | None = None) -> list[Measurement]:
        """The repetitions of a measurement; of a rival, whatever it has in flight."""
        if in_flight is not None:
            return self._by_kind.get((subject, in_flight), [])
        return [
            one for (name, _), found in self._by_kind.items() if name == subject for one in found
        ]

    @property
    def best(self) -> int:
        """The number in flight at which most clips per second were served."""
        return max(self._levels, key=lambda level: rate(self.of(SERVED, level)))

    def rows(self) -> Iterable[Row]:
        """All rows, the ratios first."""
        yield from self._ratios()
        yield from self._by_level("clips/s at {} in flight", lambda found: f"{rate(found):.3f}")
        for percent in PERCENTILES:
            yield from self._by_level(
                f"p{percent} at {{}} in flight, s",
                lambda found, percent=percent: f"{percentile_s(found, percent):.2f}",  # type: ignore[misc]
            )
        yield from self._processor_rows()
        yield from self._share_rows()
        yield from self._batch_rows()
        yield from self._memory_rows()
        yield "repetitions", self._cells(lambda found: str(len(found)))

    def _rates(self, level: int) -> dict[str, float]:
        """Column -> clips per second; of the rivals, their own."""
        found = {name: self.of(name, level) for name in (SERVED, BASELINE)}
        found |= {name: self.of(name) for name in (SEQUENTIAL, DIRECT)}
        rates = {name: rate(repetitions) for name, repetitions in found.items() if repetitions}
        if self._figures.limit:
            rates[LIMIT] = limit_rate(self._figures.limit)
        return rates

    def _ratios(self) -> Iterable[Row]:
        best, last = self.best, self._levels[-1]
        for level in self._levels:
            rates = self._rates(level)
            cells = {n: f"{rates[SERVED] / r:.2f}" for n, r in rates.items() if n != SERVED}
            label = " (its best)" if level == best else ""
            yield f"**served / this, clips/s at {level} in flight{label}**", cells
        alone = percentile_s(self.of(SERVED, self._levels[0]), 50)
        compared = {BASELINE: self.of(BASELINE, self._levels[0]), SEQUENTIAL: self.of(SEQUENTIAL)}
        ratios = {n: percentile_s(found, 50) / alone for n, found in compared.items() if found}
        yield (
            f"**this / served, p50 at {self._levels[0]} in flight**",
            {name: f"{ratio:.2f}" for name, ratio in ratios.items()},
        )
        flat = rate(self.of(SERVED, last)) / rate(self.of(SERVED, best))
        yield f"**clips/s at {last} in flight / best**", {SERVED: f"{flat:.2f}"}

    def _by_level(self, title: str, figure: Callable[[list[Measurement]], str]) -> Iterable[Row]:
        for level in self._levels:
            found = {name: self.of(name, level) for name in (SERVED, BASELINE)}
            yield title.format(level), {n: figure(some) for n, some in found.items() if some}
        rivals = {name: self.of(name) for name in (SEQUENTIAL, DIRECT)}
        cells = {name: figure(found) for name, found in rivals.items() if found}
        if self._figures.limit and title.startswith("clips/s"):
            cells[LIMIT] = f"{limit_rate(self._figures.limit):.3f}"
        if cells:
            yield title.format("its own number"), cells

    def _cells(self, figure: Callable[[list[Measurement]], str]) -> dict[str, str]:
        """A figure of each column, of the served ones at the level that _compared names."""
        found = {name: self._compared(name) for name in COLUMNS if name != LIMIT}
        return {name: figure(repetitions) for name, repetitions in found.items() if repetitions}

    def _compared(self, name: str) -> list[Measurement]:
        """Of the servers, the repetitions at compared_level."""
        if name in (SEQUENTIAL, DIRECT):
            return self.of(name)
        return self.of(name, self.compared_level)

    @property
    def compared_level(self) -> int:
        """The number in flight, near four, at which processor time is compared."""
        shared = [level for level in self._levels if self.of(BASELINE, level)] or self._levels
        return min(shared, key=lambda level: abs(level - 4))

    def _processor_rows(self) -> Iterable[Row]:
        level = f"at {self.compared_level} in flight"
        totals = self._cells(lambda found: f"{total_s(found):.2f}")
        by_slot = {name: processor_s(self._compared(name)) for name in totals}
        if self._figures.limit:
            by_slot[LIMIT] = dict(self._figures.limit.seconds)
            totals[LIMIT] = f"{sum(by_slot[LIMIT].values()):.2f}"
        yield f"processor s/clip {level}, without client", totals
        slots = {slot for used in by_slot.values() for slot in used}
        largest = {slot: max(used.get(slot, 0.0) for used in by_slot.values()) for slot in slots}
        for slot in sorted(slots, key=lambda slot: -largest[slot]):
            if largest[slot] >= LEAST_SHOWN_S:
                cells = {n: f"{used[slot]:.2f}" for n, used in by_slot.items() if slot in used}
                yield f"processor s/clip: {slot}", cells

    def _share_rows(self) -> Iterable[Row]:
        for level in self._levels:
            if files := self.of(FILES, level):
                shares = median_shares(files, self._figures.steps)
                cell = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
                yield f"share of a file's latency at {level} in flight", {SERVED: cell}

    def _batch_rows(self) -> Iterable[Row]:
        """The mean batch, and the seconds of queueing and computing, of each slot at each level."""
        found = [self.of(SERVED, level) for level in self._levels]
        listed = "/".join(map(str, self._levels))
        slots = sorted({slot for some in found for one in some for slot in one.slots})
        loads = {slot: [slot_mean(some, slot) for some in found] for slot in slots}
        for slot, means in loads.items():
            if max(mean.rows for mean in means) > 1:
                cell = " / ".join(f"{mean.rows:.1f}" for mean in means)
                yield f"rows a batch at {listed} in flight: {slot}", {SERVED: cell}
        for slot, means in loads.items():
            if max(mean.queue_s + mean.compute_s for mean in means) >= LEAST_SHOWN_S:
                cell = " / ".join(f"{mean.queue_s:.2f}+{mean.compute_s:.2f}" for mean in means)
                yield f"queue + compute, s/clip at {listed} in flight: {slot}", {SERVED: cell}

    def _memory_rows(self) -> Iterable[Row]:
        kinds = sorted({kind for one in self._figures.measurements for kind in one.memory_mb})
        for kind in kinds:
            largest = {
                name: max((one.memory_mb.get(kind, 0.0) for one in self.of(name)), default=0.0)
                for name in COLUMNS
            }
            cells = {name: f"{value:.0f}" for name, value in largest.items() if value}
            yield f"memory, MB: {kind}", cells


@dataclass(frozen=True)
class SlotMean:
    """A slot's rows a batch, and its seconds of queueing and of computing a clip."""

    rows: float
    queue_s: float
    compute_s: float


def slot_mean(measurements: Sequence[Measurement], slot: str) -> SlotMean:
    """Of all repetitions; zeros where the slot was not called."""
    loads = [one.slots[slot] for one in measurements if slot in one.slots]
    clips = sum(one.clips for one in measurements)
    return SlotMean(
        sum(load.rows for load in loads) / max(sum(load.batches for load in loads), 1),
        sum(load.queue_s for load in loads) / clips,
        sum(load.compute_s for load in loads) / clips,
    )


def median_shares(files: Sequence[Measurement], steps: Sequence[str]) -> dict[str, float]:
    """The shares of a clip's latency, from the file to the result; they add up to 1.

    The server's part is divided as its steps' queueing and computing are: these run side by side,
    so that their sums are longer than the part.
    """
    found = [shares(one, steps) for one in files]
    medians = {name: statistics.median(one[name] for one in found) for name in found[0]}
    return {name: value / sum(medians.values()) for name, value in medians.items()}


def shares(one: Measurement, steps: Sequence[str]) -> dict[str, float]:
    """As median_shares, of one measurement."""
    latency_s = sum(one.latencies_s)
    queue_s = sum(one.slots[step].queue_s for step in steps if step in one.slots)
    compute_s = sum(one.slots[step].compute_s for step in steps if step in one.slots)
    server = one.ensemble_s / latency_s
    in_queue = queue_s / (queue_s + compute_s)
    return {
        "decode": one.decode_s / latency_s,
        "transfer": 1 - (one.decode_s + one.ensemble_s) / latency_s,
        "queue": server * in_queue,
        "compute": server * (1 - in_queue),
    }
