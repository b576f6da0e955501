"""One labelled clip's features, as training takes them. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.fusion.heads import ROWS
from training.errors import FeatureError
from vemoclap_client.contract import MODALITIES

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """A labelled clip.

    Args:
        id: unique in its data set.
        label: the emotion.
        features: modality -> float32 [rows, width], raw, not padded; no rows where it is absent.
    """

    id: str
    label: str
    features: Mapping[str, Rows]


def absent(width: int) -> Rows:
    """Return the features of a modality that is not there: float32 [0, width]."""
    return np.zeros((0, width), np.float32)


def widths_of(features: Mapping[str, Rows]) -> dict[str, int]:
    """Return modality -> width."""
    return {modality: int(features[modality].shape[1]) for modality in MODALITIES}


def check(sample_id: str, features: Mapping[str, Rows], widths: Mapping[str, int]) -> None:
    """Return if these features can be trained on.

    Raises:
        FeatureError: names the clip, the modality, and what is wrong with it.
    """
    for modality in MODALITIES:
        rows = features[modality]
        if rows.ndim != 2 or rows.shape[1] != widths[modality]:
            raise FeatureError(
                f"clip {sample_id}: {modality} features have the shape {rows.shape}, and must be "
                f"{widths[modality]} wide as those of the other clips. They come from another "
                "encoder: extract all of them anew, with one."
            )
        if len(rows) > ROWS[modality]:
            raise FeatureError(
                f"clip {sample_id}: {len(rows)} rows of {modality} features; at most "
                f"{ROWS[modality]} are used"
            )
        if not np.isfinite(rows).all():
            raise FeatureError(
                f"clip {sample_id}: {modality} features hold {np.sum(~np.isfinite(rows))} values "
                "that are no finite numbers (NaN or infinite). Remove the clip, or extract it anew."
            )


def shorten(rows: Rows, most: int) -> Rows:
    """Return at most `most` rows, evenly spread: row round(linspace(0, n - 1, most))."""
    if len(rows) <= most:
        return rows
    shortened: Rows = rows[np.round(np.linspace(0, len(rows) - 1, most)).astype(int)]
    return shortened
