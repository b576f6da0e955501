"""Temperature scaling: one number that makes a head as sure as it is right."""

from __future__ import annotations

import numpy as np

from training.metrics import Floats, Indices

COLDEST, HOTTEST = 0.05, 20.0
"""Between these a temperature is looked for: one head that is never wrong would be ever surer."""

HALVINGS = 60


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Return the probabilities, float64 [n, 6]."""
    shifted = (logits - logits.max(axis=1, keepdims=True)) / temperature
    raised = np.exp(shifted)
    probabilities: Floats = raised / raised.sum(axis=1, keepdims=True)
    return probabilities


def fit_temperature(logits: Floats, labels: Indices) -> float:
    """Return the temperature, COLDEST to HOTTEST, whose likelihood is the highest.

    Dividing by it changes no answer, only how sure it is.

    Args:
        logits: float64 [n, 6], of the validation split.
        labels: int64 [n].

    Source: Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks (ICML 2017).
    """
    coldest, hottest = np.log(COLDEST), np.log(HOTTEST)
    # The loss is convex in 1 / temperature: its slope changes its sign once.
    for _ in range(HALVINGS):
        middle = (coldest + hottest) / 2
        if _is_too_sure(logits, labels, float(np.exp(middle))):
            coldest = middle
        else:
            hottest = middle
    return float(np.exp((coldest + hottest) / 2))


def _is_too_sure(logits: Floats, labels: Indices, temperature: float) -> bool:
    """Whether a higher temperature raises the likelihood."""
    expected = (softmax(logits, temperature) * logits).sum(axis=1)
    return bool(np.mean(expected - logits[np.arange(len(labels)), labels]) > 0)
