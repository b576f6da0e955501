"""Scores a head on one split of a feature store.

Nothing is fitted to a test clip: the temperature is fitted to the validation split, and a head is
scored on the store that it was trained with, whose manifest pins which clips were kept from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from export.errors import CheckpointError
from export.fusion import attention, description
from export.fusion.attention_head import AttentionHead
from export.fusion.description import Description
from training import batches, bootstrap, calibration, metrics
from training.batches import Tensors
from training.bootstrap import Interval
from training.errors import OtherDataError, StoreError
from training.manifest import check_fits
from training.metrics import Floats, Indices
from training.splits import TEST, TRAIN, VALIDATION
from training.store import Store
from vemoclap_client.contract import MODALITIES


@dataclass(frozen=True)
class Subject:
    """A head, where it comes from, and what must be said of scores on a store."""

    head: AttentionHead
    path: Path
    described: Description
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Ablation:
    """How good the head is with some of the modalities only."""

    modalities: tuple[str, ...]
    accuracy: float
    macro_f1: float


@dataclass(frozen=True)
class Calibration:
    """How sure the head is, against how often it is right.

    Args:
        temperature: fitted to the validation split.
        fitted_to: how many of its clips.
        before: expected calibration error of the head as it is.
        after: of the head with its logits divided by the temperature.
    """

    temperature: float
    fitted_to: int
    before: Interval
    after: Interval


@dataclass(frozen=True)
class Evaluation:
    """Everything that is said of a head.

    Args:
        split: whose clips were scored.
        clips: how many.
        confusion: float64 [6, 6], counts; rows are true emotions.
        accuracy: share of right answers.
        macro_f1: mean over the emotions.
        calibration: see there.
        left_out: everything, then without each modality.
        alone: each modality alone.
    """

    split: str
    clips: int
    confusion: Floats
    accuracy: Interval
    macro_f1: Interval
    calibration: Calibration
    left_out: tuple[Ablation, ...]
    alone: tuple[Ablation, ...]


def load(
    path: Path, store: Store, split: str, is_released: bool = False, allows_other: bool = False
) -> Subject:
    """Read a head that may be scored on a store.

    Args:
        path: head.pt, with head.json beside it; or the authors' checkpoint.
        store: what it is to be scored on.
        split: of the store.
        is_released: whether it is the authors' checkpoint, which has no head.json.
        allows_other: whether the store may be another than the head was trained with.

    Raises:
        CheckpointError: the head or its description is missing, or cannot be read.
        ProfileMismatchError: it takes features of another profile.
        FeatureError: it takes features of other widths.
        OtherDataError: it was trained with another store.
    """
    described = _describe(path, is_released)
    check_fits(store.manifest, described.profile, described.widths, str(path))
    warnings = _warnings(described, store, split, allows_other)
    return Subject(attention.restore(path, described), path, described, warnings)


def _describe(path: Path, is_released: bool) -> Description:
    if is_released:
        return attention.RELEASED
    found = path.with_name(description.FILE)
    if not found.is_file():
        raise CheckpointError(
            f"there is no {found}: it tells which clips a head has been kept from. Keep it beside "
            f"{path.name}; for the checkpoint that VEMOCLAP's authors release, say --released."
        )
    return description.read(found)


def _warnings(
    described: Description, store: Store, split: str, allows_other: bool
) -> tuple[str, ...]:
    """What makes the scores look better than they are."""
    found = []
    if described.trained_on == attention.TRAINED_ON:
        found.append(
            "the authors trained this checkpoint on 90 % of Ekman-6: on clips of Ekman-6, those of "
            "a test split included, its scores are of clips that it has mostly seen"
        )
    elif described.training.get("manifest_sha256") != store.sha256:
        found.append(_other_data(described, store, allows_other))
        if described.training.get("slots") != store.manifest.slots:
            found.append("these features come from other encoders than those it was trained with")
    if split == TRAIN:
        found.append("the head was fitted to the clips of this split")
    elif split == VALIDATION:
        found.append("the head was chosen by this split, and the temperature is fitted to it")
    return tuple(found)


def _other_data(described: Description, store: Store, allows_other: bool) -> str:
    """The warning that goes with other data, where they are allowed."""
    found = (
        f"the head was trained on {described.trained_on}, and {store.folder} is "
        f"{store.manifest.name} (manifest {store.sha256[:12]})"
    )
    if not allows_other:
        raise OtherDataError(
            f"{found}: which of these clips it was trained on is not known. Name the store that it "
            "was trained with, or say --allow-other-data to score it all the same."
        )
    return f"{found}: it may have been trained on clips of this split"


def evaluate(head: AttentionHead, store: Store, split: str = TEST) -> Evaluation:
    """Score a head. Of the store, the split and, for the temperature, validation are read.

    Args:
        head: in evaluation mode.
        store: whose features it takes; see `load`.
        split: "train", "validation" or "test".

    Raises:
        StoreError: a split has no clip, or a clip is damaged.
        FeatureError: a clip's features are no numbers.
        CheckpointError: the head's answers are no numbers.
    """
    data = _read(store, split)
    labels = data.labels.numpy()
    answers = logits(head, data)
    predicted = answers.argmax(axis=1)
    validation = data if split == VALIDATION else _read(store, VALIDATION)
    temperature = calibration.fit_temperature(logits(head, validation), validation.labels.numpy())
    scores = _intervals(answers, labels, temperature)
    return Evaluation(
        split,
        len(data),
        metrics.confusion(labels, predicted),
        scores["accuracy"],
        scores["macro_f1"],
        Calibration(temperature, len(validation), scores["before"], scores["after"]),
        (
            _ablation(head, data, MODALITIES),
            *(_ablation(head, data, _without(modality)) for modality in MODALITIES),
        ),
        tuple(_ablation(head, data, (modality,)) for modality in MODALITIES),
    )


@torch.inference_mode()
def logits(head: AttentionHead, data: Tensors, batch_size: int = 256) -> Floats:
    """Return a head's scores before the softmax: float64 [n, 6].

    Raises:
        CheckpointError: they are no numbers.
    """
    found = []
    for start in range(0, len(data), batch_size):
        batch = data.take(torch.arange(start, min(start + batch_size, len(data))))
        found.append(head.logits(head.normalise(batch.rows, batch.lengths)))
    answers: Floats = torch.cat(found).double().numpy()
    if not np.isfinite(answers).all():
        raise CheckpointError("the head's answers are no finite numbers: its weights are damaged")
    return answers


def keep(data: Tensors, modalities: Sequence[str]) -> Tensors:
    """Return the samples with these modalities, and all others absent."""
    kept = torch.tensor([modality in modalities for modality in MODALITIES])
    rows = {name: values * (name in modalities) for name, values in data.rows.items()}
    return Tensors(rows, data.lengths * kept, data.labels)


def _read(store: Store, split: str) -> Tensors:
    samples = store.samples(split)
    if not samples:
        raise StoreError(f"{store.folder} has no clip in its {split} split: there is nothing to do")
    return batches.stack(samples)


def _intervals(answers: Floats, labels: Indices, temperature: float) -> dict[str, Interval]:
    predicted = answers.argmax(axis=1)
    before, after = calibration.softmax(answers), calibration.softmax(answers, temperature)
    return bootstrap.intervals(
        {
            "accuracy": lambda w: metrics.accuracy(metrics.confusion(labels, predicted, w)),
            "macro_f1": lambda w: metrics.macro_f1(metrics.confusion(labels, predicted, w)),
            "before": lambda w: metrics.calibration_error(before, labels, w),
            "after": lambda w: metrics.calibration_error(after, labels, w),
        },
        len(labels),
    )


def _ablation(head: AttentionHead, data: Tensors, modalities: tuple[str, ...]) -> Ablation:
    predicted = logits(head, keep(data, modalities)).argmax(axis=1)
    matrix = metrics.confusion(data.labels.numpy(), predicted)
    return Ablation(modalities, float(metrics.accuracy(matrix)), float(metrics.macro_f1(matrix)))


def _without(left_out: str) -> tuple[str, ...]:
    return tuple(modality for modality in MODALITIES if modality != left_out)
