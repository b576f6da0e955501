"""Reads the Parquet files of `vemoclap batch --features` into a feature store.

A row's label is in its column `label`, else it is the name of its clip's folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training import features
from training.errors import LabelError, ProfileMismatchError, StoreError
from training.features import Rows, Sample
from training.manifest import Manifest
from training.store import Store, Writer
from vemoclap_client.contract import EMOTIONS, MODALITIES

PATTERN = "part-*.parquet"
LABEL = "label"
FEATURES = {f"{modality}_features": modality for modality in MODALITIES}
"""Column -> the modality whose features it has."""

WIDTHS = "feature_widths"

ROWS_AT_ONCE = 64


def store_features(data: Path, folder: Path, seed: int) -> tuple[Store, dict[str, str]]:
    """Write a batch's features into a feature store.

    Args:
        data: the folder of Parquet files.
        folder: of the store.
        seed: of the split.

    Returns:
        The store, and video -> why it is not in it.

    Raises:
        StoreError: the files have no features, or cannot be read.
        ProfileMismatchError: the rows are of several profiles.
        LabelError: a label is no emotion, or the labels cannot be learned from.
        FeatureError: features are no numbers, or not as wide as the others.
    """
    labels: dict[str, str] = {}
    skipped: dict[str, str] = {}
    writer: Writer | None = None
    for row in _rows(data):
        video: str = row["video"]
        if row["exit_code"]:
            skipped[video] = str(row["error_message"])
            continue
        found = _features(row)
        if writer is None:
            widths = features.widths_of(found)
            writer = Writer(folder, Manifest(data.resolve().name, row["profile"], {}, widths))
        if row["profile"] != writer.manifest.profile:
            raise ProfileMismatchError(f"{data} holds features of several profiles: choose one")
        labels[video] = _label(row)
        # What a batch has written of a clip never changes but with the whole row.
        writer.add(Sample(video, labels[video], found), fingerprint="a row of a batch")
    if writer is None:
        raise LabelError(f"{data}: none of the {len(skipped)} clips was classified")
    return writer.finish(labels, seed), skipped


def _rows(data: Path) -> Iterator[dict[str, Any]]:
    """The rows of all files: only the columns that are needed."""
    wanted = ["video", "exit_code", "error_message", "profile", WIDTHS, *FEATURES]
    for path in sorted(data.glob(PATTERN)):
        try:
            file = pq.ParquetFile(path)
            if WIDTHS not in file.schema_arrow.names:
                raise StoreError(f"{path} has no features: run `vemoclap batch` with --features")
            columns = wanted + [LABEL] * (LABEL in file.schema_arrow.names)
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=columns):
                yield from batch.to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{path} cannot be read: {error}") from error


def _features(row: Mapping[str, Any]) -> dict[str, Rows]:
    widths = dict(zip(MODALITIES, row[WIDTHS], strict=True))
    return {
        modality: np.array(row[column], np.float32).reshape(-1, widths[modality])
        for column, modality in FEATURES.items()
    }


def _label(row: Mapping[str, Any]) -> str:
    label = row[LABEL] if LABEL in row else PurePosixPath(row["video"]).parent.name
    if str(label).lower() not in EMOTIONS:
        raise LabelError(
            f"{row['video']}: its label is {label!r}, and must be one of {', '.join(EMOTIONS)}: "
            "the column `label`, else the name of its folder"
        )
    return str(label).lower()
