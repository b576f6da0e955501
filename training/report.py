"""What an evaluation leaves: evaluation.json."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from export import files
from training import bootstrap, metrics
from training.evaluation import Evaluation, Subject
from training.store import Store
from vemoclap_client.contract import EMOTIONS

SCHEMA_VERSION = "1.0"
FILE = "evaluation.json"


def to_document(evaluation: Evaluation, subject: Subject, store: Store) -> dict[str, Any]:
    """Return the content of evaluation.json; what is undefined is null."""
    matrix = evaluation.confusion
    measured = {
        "precision": metrics.precision(matrix),
        "recall": metrics.recall(matrix),
        "f1": metrics.f1(matrix),
    }
    classes = {
        emotion: {name: _number(values[index]) for name, values in measured.items()}
        | {"support": int(matrix[index].sum())}
        for index, emotion in enumerate(EMOTIONS)
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "head": {
            "sha256": files.checksum(subject.path),
            "profile": subject.described.profile,
            "trained_on": subject.described.trained_on,
        },
        "data": {
            "name": store.manifest.name,
            "manifest_sha256": store.sha256,
            "split": evaluation.split,
            "clips": evaluation.clips,
        },
        "warnings": subject.warnings,
        "accuracy": asdict(evaluation.accuracy),
        "macro_f1": asdict(evaluation.macro_f1),
        "classes": classes,
        "confusion": {
            "emotions": EMOTIONS,
            "rows": "true",
            "counts": matrix.astype(int).tolist(),
            "normalised": [[_number(v) for v in row] for row in metrics.normalised(matrix)],
        },
        "ablation": {
            "left_out": [asdict(row) for row in evaluation.left_out],
            "alone": [asdict(row) for row in evaluation.alone],
        },
        "calibration": {"bins": metrics.BINS, **asdict(evaluation.calibration)},
        "bootstrap": {
            "resamples": bootstrap.RESAMPLES,
            "confidence": bootstrap.CONFIDENCE,
            "seed": bootstrap.SEED,
        },
    }


def write(folder: Path, document: dict[str, Any]) -> Path:
    """Write evaluation.json, and return its path.

    Raises:
        StorageError: the disk is full.
    """
    files.write_text(folder / FILE, json.dumps(document, indent=1, allow_nan=False) + "\n")
    return folder / FILE


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
