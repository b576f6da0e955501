"""Samples as padded tensors, and the batches that each step of a training takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from export.fusion.attention_head import AttentionHead
from export.fusion.heads import ROWS
from training.features import Rows, Sample
from vemoclap_client.contract import EMOTIONS, MODALITIES


@dataclass(frozen=True)
class Tensors:
    """Samples of one split.

    Args:
        rows: modality -> float32 [n, rows, width], raw and zero-padded.
        lengths: int32 [n, 5], real rows of each.
        labels: int64 [n], indices of contract.EMOTIONS.
    """

    rows: dict[str, Tensor]
    lengths: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> Tensors:
        """Return the samples at these indices."""
        rows = {modality: values[indices] for modality, values in self.rows.items()}
        return Tensors(rows, self.lengths[indices], self.labels[indices])

    def to(self, device: torch.device) -> Tensors:
        """Return the same on another device."""
        rows = {modality: values.to(device) for modality, values in self.rows.items()}
        return Tensors(rows, self.lengths.to(device), self.labels.to(device))


def stack(samples: Sequence[Sample]) -> Tensors:
    """Pad and stack samples."""
    lengths = [[len(sample.features[m]) for m in MODALITIES] for sample in samples]
    return Tensors(
        {modality: _padded(samples, modality) for modality in MODALITIES},
        torch.tensor(lengths, dtype=torch.int32),
        torch.tensor([EMOTIONS.index(sample.label) for sample in samples]),
    )


def _padded(samples: Sequence[Sample], modality: str) -> Tensor:
    width = samples[0].features[modality].shape[1]
    padded = np.zeros((len(samples), ROWS[modality], width), np.float32)
    for index, sample in enumerate(samples):
        found = sample.features[modality]
        padded[index, : len(found)] = found
    return torch.from_numpy(padded)


@torch.inference_mode()
def logits(head: AttentionHead, data: Tensors, batch_size: int = 256) -> Tensor:
    """Return the scores before the softmax of a head in evaluation mode: float32 [n, 6]."""
    batches = (data.take(indices) for indices in torch.split(torch.arange(len(data)), batch_size))
    return torch.cat([head.logits(head.normalise(one.rows, one.lengths)) for one in batches])


def ranges_of(samples: Sequence[Sample]) -> dict[str, tuple[float, float]]:
    """Return modality -> smallest and largest value; 0 and 1 where there is none, or one only."""
    return {modality: _range([s.features[modality] for s in samples]) for modality in MODALITIES}


def _range(arrays: Sequence[Rows]) -> tuple[float, float]:
    found = [array for array in arrays if array.size]
    if not found:
        return 0.0, 1.0
    low = min(float(array.min()) for array in found)
    high = max(float(array.max()) for array in found)
    return (low, high) if low < high else (low, low + 1.0)


def batch_indices(count: int, size: int, seed: int, step: int) -> Tensor:
    """Return which samples a step takes: int64 [size or less].

    Every epoch takes samples in an order of its own, none of them twice: all of them, but for the
    last count % size, which make no whole batch. The indices follow from the arguments alone, so
    that a training that goes on needs no state of a sampler.
    """
    size = min(size, count)
    steps_per_epoch = count // size
    epoch, position = divmod(step, steps_per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return torch.from_numpy(order[position * size : (position + 1) * size])
