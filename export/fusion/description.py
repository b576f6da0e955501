"""What a cross-attention head is, besides its weights: written as head.json beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from export.errors import CheckpointError
from vemoclap_client.contract import MODALITIES

KIND = "attention"
FILE = "head.json"


@dataclass(frozen=True)
class Description:
    """Everything that decides how a head's weights are read and what it answers to.

    Args:
        profile: whose features it takes.
        widths: modality -> width of its features.
        ranges: modality -> smallest and largest value in the training data.
        trained_on: its training data, in the words that every answer repeats.
        heads: of each attention.
        width: of what is attended to.
        training: how it came about: data, manifest, date, seed, recipe, accuracy; empty for the
            authors' own.
    """

    profile: str
    widths: Mapping[str, int]
    ranges: Mapping[str, tuple[float, float]]
    trained_on: str
    heads: int
    width: int
    training: Mapping[str, Any]

    def to_json(self) -> str:
        """Return the content of head.json."""
        return json.dumps({"kind": KIND, **asdict(self)}, indent=1) + "\n"


def read(path: Path) -> Description:
    """Read a head.json.

    Raises:
        CheckpointError: it is none.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["kind"] != KIND:
            raise CheckpointError(f"{path} describes a head of kind {document['kind']!r}")
        return Description(
            profile=str(document["profile"]),
            widths={modality: int(document["widths"][modality]) for modality in MODALITIES},
            ranges={modality: _pair(document["ranges"][modality]) for modality in MODALITIES},
            trained_on=str(document["trained_on"]),
            heads=int(document["heads"]),
            width=int(document["width"]),
            training=dict(document["training"]),
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"{path} cannot be read as the description of a head: {error!r}. Training writes it "
            "beside head.pt; keep the two together."
        ) from error


def _pair(values: Any) -> tuple[float, float]:
    low, high = map(float, values)
    if not low < high:
        raise ValueError(f"range {low} to {high} is empty")
    return low, high
