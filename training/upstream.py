"""Reads the authors' features.pkl, with its splits and its blacklist, into a feature store.

    {"samples": {id: {"labels": multi-hot, "features": {name: tensor [rows, width]}}},
     "stats": ..., "idx_to_label": {index: emotion}}

The labels' key is `labels` in the authors' description of the file, and `label` in their program.

`stats` is not used: the ranges that a head scales by are those of the training split alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.fusion import attention
from export.fusion.attention_head import UPSTREAM_NAMES
from export.fusion.heads import ROWS
from training import features, lists
from training.errors import FeatureError, LabelError, StoreError
from training.features import Rows, Sample
from training.lists import Lists
from training.manifest import Manifest
from training.restricted_pickle import read
from training.store import Store, Writer
from vemoclap_client import files
from vemoclap_client.contract import EMOTIONS


@dataclass(frozen=True)
class Import:
    """The store, id -> why a sample is not in it, and what on the lists could not be used."""

    store: Store
    skipped: Mapping[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Sample:
    """A sample as it is in the file."""

    id: str
    labels: list[str]
    features: Mapping[str, Any]


def store_features(
    path: Path, folder: Path, seed: int, given: Lists, name: str | None = None
) -> Import:
    """Write features.pkl into a feature store of the paper profile.

    Args:
        path: features.pkl.
        folder: of the store.
        seed: of what the lists leave to be drawn.
        given: the split, and the mislabelled clips, which are left out.
        name: of the data; default: the file's.

    Raises:
        UnsafeFileError: a file would run code on loading.
        StoreError: it is damaged, or is no features.pkl.
        LabelError: a label is no emotion, or the labels cannot be learned from.
        FeatureError: features are no numbers, or not as wide as the paper's encoders make them.
    """
    samples = list(_samples(read(path), path))
    _check_names(samples, path)
    choice = lists.choose([sample.id for sample in samples], given)
    skipped = {s.id: _reason_against(s.labels) for s in samples if len(s.labels) != 1}
    skipped |= choice.skipped
    origin = {"features.pkl": files.checksum(path)}
    writer = Writer(folder, Manifest(name or path.stem, "paper", origin, attention.WIDTHS))
    labels = {s.id: s.labels[0] for s in samples if s.id not in skipped}
    for sample in samples:
        if sample.id not in skipped:
            _add(sample, origin["features.pkl"], writer)
    return Import(writer.finish(labels, seed, choice.splits), skipped, choice.notes)


def _add(sample: _Sample, fingerprint: str, writer: Writer) -> None:
    """What an earlier run has written stays as it is: a training goes on with the same store."""
    label = sample.labels[0]
    if not writer.has(sample.id, label, fingerprint):
        rows = _features(sample.id, sample.features)
        writer.add(Sample(sample.id, label, rows), fingerprint)


def _reason_against(labels: list[str]) -> str:
    return f"it has {len(labels)} labels: {', '.join(labels) or 'none'}"


def _samples(content: Any, path: Path) -> Iterator[_Sample]:
    of, held = "it", content
    try:
        names = _label_names(content["idx_to_label"])
        for name, sample in content["samples"].items():
            of, held = f"its sample {name}", sample
            labels = sample["labels" if "labels" in sample else "label"]
            yield _Sample(str(name), _labels(labels, names), dict(sample["features"]))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise StoreError(
            f"{path} is no features.pkl: {error!r}. It must be a dict of samples (id -> labels, "
            f"features), stats and idx_to_label; {of} is {_description(held)}."
        ) from error


def _description(held: Any) -> str:
    """What is there in place of what was expected."""
    if not isinstance(held, Mapping):
        return f"a {type(held).__name__}"
    return f"a dict of {', '.join(str(key) for key in list(held)[:10]) or 'nothing'}"


def _labels(values: Any, names: Mapping[int, str]) -> list[str]:
    """The emotions that a multi-hot vector names."""
    chosen = np.asarray(values, np.float64)
    if chosen.shape != (len(names),):
        raise ValueError(f"labels of the shape {chosen.shape}, and not one 0 or 1 for each emotion")
    return [names[int(index)] for index in np.flatnonzero(chosen > 0)]


def _check_names(samples: Iterable[_Sample], path: Path) -> None:
    """A feature that no sample has is not absent: it is called something else."""
    found = {name for sample in samples for name in sample.features}
    if found and (missing := [name for name in UPSTREAM_NAMES.values() if name not in found]):
        raise StoreError(
            f"{path} has no features called {', '.join(missing)}; its samples have "
            f"{', '.join(sorted(map(str, found)))}"
        )


def _label_names(indices: Any) -> dict[int, str]:
    pairs = indices.items() if isinstance(indices, Mapping) else enumerate(indices)
    names = {int(index): str(name).lower() for index, name in pairs}
    if unknown := sorted(set(names.values()) - set(EMOTIONS)):
        raise LabelError(
            f"unknown labels: {', '.join(unknown)}; a head tells {', '.join(EMOTIONS)} apart"
        )
    return names


def _features(name: str, found: Mapping[str, Any]) -> dict[str, Rows]:
    """By modality; a feature that is missing, None or empty is absent."""
    rows = {}
    for modality, upstream in UPSTREAM_NAMES.items():
        width = attention.WIDTHS[modality]
        values = found.get(upstream)
        try:
            array = features.absent(width) if values is None else np.asarray(values, np.float32)
        except (TypeError, ValueError, RuntimeError) as error:
            raise FeatureError(f"clip {name}: {upstream} is no array: {error}") from error
        if array.size == 0:
            array = features.absent(width)
        rows[modality] = features.shorten(np.atleast_2d(array), ROWS[modality])
    return rows
