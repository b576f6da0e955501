"""The checkpoint of a training: written whole or not at all, and never taken for another's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from export import files
from export.errors import CheckpointError
from export.networks.state import read_checkpoint
from training.errors import TrainingError


def write(path: Path, identity: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Write a checkpoint, atomically.

    Args:
        path: where it goes.
        identity: of the training: its data, recipe and seed.
        content: tensors and plain values.

    Raises:
        StorageError: the disk is full.
    """
    document = {"identity": dict(identity), **content}
    files.write(path, lambda file: torch.save(document, file))


def read(path: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a checkpoint's content, or None where there is none.

    Raises:
        TrainingError: it is another training's, or damaged.
    """
    if not path.exists():
        return None
    try:
        document = read_checkpoint(path)
        found, _, _ = document["identity"], document["state"], document["started"]
    except (CheckpointError, KeyError) as error:
        raise TrainingError(
            f"{path} cannot be read: {error}. Remove it to begin anew, or choose another --out."
        ) from error
    if found != dict(identity):
        other = sorted(key for key in {*found, *identity} if found.get(key) != identity.get(key))
        raise TrainingError(
            f"{path.parent} holds another training: its {', '.join(other)} differs. Choose another "
            "--out, or give the same to go on with it."
        )
    return document


def today() -> str:
    """Return the date, UTC, in ISO's form."""
    return datetime.now(UTC).date().isoformat()
