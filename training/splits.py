"""Which clips are for training, for validation, and for the test: decided once, then kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from training.errors import LabelError

TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")
HELD_OUT = 0.15
"""Share of each emotion's clips that goes to validation, and as many to the test."""
FEWEST = len(SPLITS)


def check_labels(labels: Mapping[str, str]) -> None:
    """Return if these labels (id -> emotion) can be split and learned from.

    Raises:
        LabelError: there is one class only, or one has fewer than three clips.
    """
    counts = count(labels)
    if len(counts) < 2:
        found = f"only {next(iter(counts))}" if counts else "no labelled clip"
        raise LabelError(f"there is {found}: a head learns to tell at least two emotions apart")
    few = [f"{label} has {number}" for label, number in counts.items() if number < FEWEST]
    if few:
        raise LabelError(
            f"too few clips: {', '.join(few)}. Each emotion needs {FEWEST} at least: one for "
            "training, one for validation, one for the test."
        )


def count(labels: Mapping[str, str]) -> dict[str, int]:
    """Return emotion -> number of clips, by name."""
    values = list(labels.values())
    return {label: values.count(label) for label in sorted(set(values))}


def split(
    labels: Mapping[str, str], seed: int, earlier: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return id -> split: the same share of every emotion's clips in each, drawn by the seed.

    Args:
        labels: id -> emotion.
        seed: of the draw.
        earlier: id -> split of an earlier draw, which is kept: no clip ever moves from the test
            into training.

    Raises:
        LabelError: see `check_labels`.
    """
    check_labels(labels)
    kept = {name: part for name, part in (earlier or {}).items() if name in labels}
    chosen: dict[str, str] = {}
    for number, label in enumerate(count(labels)):
        ids = sorted(name for name, of in labels.items() if of == label)
        chosen |= _split_class(ids, kept, np.random.default_rng([seed, number]))
    return dict(sorted(chosen.items()))


def _split_class(
    ids: list[str],
    kept: Mapping[str, str],
    source: np.random.Generator,
    held_out: Sequence[str] = (TEST, VALIDATION),
) -> dict[str, str]:
    chosen = {name: kept[name] for name in ids if name in kept}
    new = [name for name in ids if name not in kept]
    source.shuffle(new)
    wanted = max(1, round(HELD_OUT * len(ids)))
    for part in held_out:
        missing = max(0, wanted - list(chosen.values()).count(part))
        chosen |= dict.fromkeys(new[:missing], part)
        new = new[missing:]
    return chosen | dict.fromkeys(new, TRAIN)


def with_validation(
    given: Mapping[str, str],
    labels: Mapping[str, str],
    seed: int,
    earlier: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return a data set's own split with clips for validation.

    Where it has none, they are drawn from its training clips. Its test clips stay what they are.

    Args:
        given: id -> split.
        labels: id -> emotion.
        seed: of the draw.
        earlier: id -> split of an earlier draw, which is kept.
    """
    if VALIDATION in given.values():
        return dict(given)
    training = {name: labels[name] for name, part in given.items() if part == TRAIN}
    kept = {n: p for n, p in (earlier or {}).items() if n in training and p != TEST}
    parts = dict(given)
    for number, label in enumerate(count(training)):
        ids = sorted(name for name, of in training.items() if of == label)
        if len(ids) > 1:
            source = np.random.default_rng([seed, number])
            parts |= _split_class(ids, kept, source, (VALIDATION,))
    return parts
