"""How right a head is, and how well it knows it. Plain numpy.

Every clip may have a weight, so that many resamples are scored in one product of matrices: where
weights are [..., n], so many scores come back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vemoclap_client.contract import EMOTIONS

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

BINS = 15


def confusion(labels: Indices, predicted: Indices, weights: Floats | None = None) -> Floats:
    """Return how many clips of each true emotion were given each answer: float64 [..., 6, 6].

    Args:
        labels: int64 [n], indices of EMOTIONS: the rows.
        predicted: int64 [n], likewise: the columns.
        weights: float64 [..., n], how often each clip counts; once by default.
    """
    size = len(EMOTIONS)
    cells = np.eye(size * size)[labels * size + predicted]
    counts: Floats = _weights(labels, weights) @ cells
    return counts.reshape(*counts.shape[:-1], size, size)


def normalised(matrix: Floats) -> Floats:
    """Return each row's shares, [..., 6, 6]; a row without clips is NaN."""
    return _ratio(matrix, matrix.sum(axis=-1, keepdims=True))


def accuracy(matrix: Floats) -> Floats:
    """Return the share of right answers, 0 to 1: float64 [...], of confusions [..., 6, 6]."""
    return _ratio(_right(matrix).sum(axis=-1), matrix.sum(axis=(-2, -1)))


def precision(matrix: Floats) -> Floats:
    """Return, for each emotion, how many of its answers are right: [..., 6]; NaN if none."""
    return _ratio(_right(matrix), matrix.sum(axis=-2))


def recall(matrix: Floats) -> Floats:
    """Return, for each emotion, how many of its clips are found: [..., 6]; NaN if none."""
    return _ratio(_right(matrix), matrix.sum(axis=-1))


def f1(matrix: Floats) -> Floats:
    """Return the harmonic means of precision and recall: [..., 6].

    Zero where an emotion is never found; NaN where it has neither clips nor answers.
    """
    return _ratio(2 * _right(matrix), matrix.sum(axis=-2) + matrix.sum(axis=-1))


def macro_f1(matrix: Floats) -> Floats:
    """Return the mean F1 of the emotions that have clips or answers: float64 [...]."""
    averaged: Floats = np.nanmean(f1(matrix), axis=-1)
    return averaged


def calibration_error(
    probabilities: Floats, labels: Indices, weights: Floats | None = None, bins: int = BINS
) -> Floats:
    """Return the expected calibration error, 0 to 1: float64 [...].

    That is the distance between how sure the answers of a bin are and how often they are right,
    averaged over equally wide bins of sureness, each as heavy as it has clips.

    Args:
        probabilities: float64 [n, 6].
        labels: int64 [n].
        weights: float64 [..., n]; see `confusion`.
        bins: how many.

    Source: Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks (ICML 2017).
    """
    sureness = probabilities.max(axis=1)
    gap = (probabilities.argmax(axis=1) == labels) - sureness
    # A bin holds its upper edge and not its lower one.
    chosen = np.clip(np.ceil(sureness * bins).astype(int) - 1, 0, bins - 1)
    counted = _weights(labels, weights)
    gaps: Floats = counted @ (np.eye(bins)[chosen] * gap[:, None])
    error: Floats = np.abs(gaps).sum(axis=-1) / counted.sum(axis=-1)
    return error


def _weights(labels: Indices, weights: Floats | None) -> Floats:
    return np.ones(len(labels)) if weights is None else weights


def _right(matrix: Floats) -> Floats:
    diagonal: Floats = np.diagonal(matrix, axis1=-2, axis2=-1)
    return diagonal


def _ratio(part: Floats, whole: Floats) -> Floats:
    """NaN for nothing of nothing."""
    part, whole = np.broadcast_arrays(part, whole)
    shares: Floats = np.full(part.shape, np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
