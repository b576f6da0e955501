"""Reads the authors' features.pkl, with its splits and its blacklist, into a feature store.

    {"samples": {id: {"labels": multi-hot, "features": {name: tensor [rows, width]}}},
     "stats": ..., "idx_to_label": {index: emotion}}

`stats` is not used: the ranges that a head scales by are those of the training split alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export import files
from export.fusion import attention
from export.fusion.attention_head import UPSTREAM_NAMES
from export.fusion.heads import ROWS
from training import features, splits
from training.errors import FeatureError, LabelError, StoreError
from training.features import Rows, Sample
from training.manifest import Manifest
from training.restricted_pickle import read
from training.store import Store, Writer
from vemoclap_client.contract import EMOTIONS

SPLIT_NAMES = {
    "train": splits.TRAIN,
    "training": splits.TRAIN,
    "val": splits.VALIDATION,
    "valid": splits.VALIDATION,
    "validation": splits.VALIDATION,
    "test": splits.TEST,
}


@dataclass(frozen=True)
class Import:
    """The store, and id -> why a sample is not in it."""

    store: Store
    skipped: Mapping[str, str]


def store_features(
    path: Path, folder: Path, seed: int, splits_json: Path | None, blacklist: Path | None
) -> Import:
    """Write features.pkl into a feature store of the paper profile.

    Args:
        path: features.pkl.
        folder: of the store.
        seed: of the split, where there is no splits.json.
        splits_json: {split: [id, ...]}.
        blacklist: ids of mislabelled clips, one a line: left out.

    Raises:
        UnsafeFileError: a file would run code on loading.
        StoreError: it is damaged, or is no features.pkl.
        LabelError: a label is no emotion, or the labels cannot be learned from.
        FeatureError: features are no numbers, or not as wide as the paper's encoders make them.
    """
    given = _read_splits(splits_json) if splits_json else None
    left_out = _read_blacklist(blacklist) if blacklist else frozenset()
    content = read(path)
    origin = {"features.pkl": files.checksum(path)}
    writer = Writer(folder, Manifest(path.stem, "paper", origin, attention.WIDTHS))
    labels: dict[str, str] = {}
    skipped: dict[str, str] = {}
    for name, label, found in _samples(content, path):
        if reason := _reason_against(name, label, left_out):
            skipped[name] = reason
            continue
        writer.add(Sample(name, label[0], _features(name, found)), origin["features.pkl"])
        labels[name] = label[0]
    return Import(writer.finish(labels, seed, given), skipped)


def _reason_against(name: str, label: list[str], left_out: frozenset[str]) -> str:
    if name in left_out or Path(name).stem in left_out:
        return "on the blacklist"
    if len(label) != 1:
        return f"it has {len(label)} labels: {', '.join(label) or 'none'}"
    return ""


def _samples(content: Any, path: Path) -> Iterator[tuple[str, list[str], Mapping[str, Any]]]:
    """Yield each sample's id, its labels, and its features."""
    try:
        names = _label_names(content["idx_to_label"])
        for name, sample in content["samples"].items():
            chosen = np.flatnonzero(np.asarray(sample["labels"], np.float64) > 0)
            yield str(name), [names[int(index)] for index in chosen], dict(sample["features"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise StoreError(
            f"{path} is no features.pkl: {error!r}. It must be a dict of samples (id -> labels, "
            "features), stats and idx_to_label."
        ) from error


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


def _read_splits(path: Path) -> dict[str, str]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        parts = {str(name): SPLIT_NAMES[part] for part, ids in document.items() for name in ids}
        total = sum(len(ids) for ids in document.values())
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(
            f"{path} cannot be read as splits: {error!r}. It must be {{split: [id, ...]}} with "
            f"splits named {', '.join(SPLIT_NAMES)}."
        ) from error
    if total != len(parts):
        raise StoreError(f"{path} names a clip twice: it would be trained on and tested on")
    return parts


def _read_blacklist(path: Path) -> frozenset[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read as a blacklist: {error}") from error
    return frozenset(line.strip() for line in lines if line.strip())
