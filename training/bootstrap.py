"""How far a score could be off: bootstrap confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from training.metrics import Floats

RESAMPLES = 1000
CONFIDENCE = 0.95
SEED = 1
AT_ONCE = 100
"""Resamples that are in memory together."""

Statistic = Callable[[Floats], Floats]
"""Weights of the clips, float64 [r, n] -> a score, 0 to 1, for each: float64 [r]."""


@dataclass(frozen=True)
class Interval:
    """A score and its confidence interval."""

    value: float
    low: float
    high: float


def intervals(
    statistics: Mapping[str, Statistic], count: int, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, Interval]:
    """Return name -> a statistic's value on all clips, and its 95 % interval.

    Clips are drawn with replacement, as many as there are. The interval is that of the resamples'
    percentiles, moved by their bias: drawing a clip twice makes a calibration error larger, and
    the bare percentiles may then not even hold the value.

    Args:
        statistics: of shares: what is below 0 or above 1 of an interval is cut off.
        count: of clips, 1 at least.
        resamples: how many.
        seed: of the draw.

    Source: Efron, Tibshirani: An Introduction to the Bootstrap (1993), chapters 10 and 13.
    """
    source = np.random.default_rng(seed)
    drawn: dict[str, list[Floats]] = {name: [] for name in statistics}
    for start in range(0, resamples, AT_ONCE):
        size = min(AT_ONCE, resamples - start)
        weights = source.multinomial(count, np.full(count, 1 / count), size).astype(np.float64)
        for name, statistic in statistics.items():
            drawn[name].append(statistic(weights))
    return {
        name: _interval(float(statistic(np.ones((1, count)))[0]), np.concatenate(drawn[name]))
        for name, statistic in statistics.items()
    }


def _interval(value: float, drawn: Floats) -> Interval:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail]) - (drawn.mean() - value)
    return Interval(value, max(0.0, float(low)), min(1.0, float(high)))
