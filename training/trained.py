"""What a training leaves: head.pt, in the released checkpoint's format, and head.json beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from export import files
from export.fusion import description
from export.fusion.description import Description

WEIGHTS = "head.pt"


def write(folder: Path, weights: Mapping[str, torch.Tensor], described: Description) -> Path:
    """Write a head so that `python -m export fusion --checkpoint` takes it; return head.pt.

    Args:
        folder: where to.
        weights: its state dict.
        described: the rest.

    Raises:
        StorageError: the disk is full.
    """
    on_processor = {name: value.cpu() for name, value in weights.items()}
    # Last comes what makes the two a head: without its description head.pt is of no profile.
    files.write(folder / WEIGHTS, lambda file: torch.save(on_processor, file))
    files.write_text(folder / description.FILE, described.to_json())
    return folder / WEIGHTS
