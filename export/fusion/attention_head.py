"""VEMOCLAP's cross-attention head, written from the paper's description.

Source: Sulun, Viana, Davies: VEMOCLAP (arXiv 2410.21303); the names of the weights are those of
the released checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from vemoclap_client import contract
from vemoclap_client.contract import EMOTIONS, MODALITIES

UPSTREAM_NAMES = {
    "image": "clip",
    "audio": "beats",
    "face": "face_emotion",
    "speech": "asr_sentiment",
    "text": "ocr_sentiment",
}
"""Modality -> the name of its feature in the released checkpoint."""

SEQUENCES = ("beats", "clip", "face_emotion")
SINGLE_ROWS = ("asr_sentiment", "ocr_sentiment")
PAIRS = tuple(f"{a}_{b}" for a, b in permutations(SEQUENCES, 2))

WIDTH = 512
HEADS = 4
"""The released program builds 4, whatever its configuration says; a checkpoint fits either."""

DROPOUT = 0.5


class AttentionHead(nn.Module):
    """Features of five modalities -> probabilities of six emotions, and what each contributed."""

    minimum: Tensor
    span: Tensor
    kept: Tensor

    def __init__(
        self,
        widths: Mapping[str, int],
        ranges: Mapping[str, tuple[float, float]],
        heads: int = HEADS,
        width: int = WIDTH,
        dropout: float = DROPOUT,
    ) -> None:
        """Build the layers, with random weights.

        Args:
            widths: modality -> width of its features.
            ranges: modality -> smallest and largest value of its features in the training data.
            heads: of each attention; must divide `width`.
            width: of what is attended to and concatenated; 512 in the released checkpoint.
            dropout: share of the numbers that training leaves out after the encoders, the
                projections and the attention.
        """
        super().__init__()
        self.heads = heads
        self.dropout = nn.Dropout(dropout)
        named = {UPSTREAM_NAMES[modality]: size for modality, size in widths.items()}
        self.encoders = nn.ModuleDict(
            {name: nn.Linear(size, width) for name, size in named.items()}
        )
        for projection in ("query_proj", "key_proj", "value_proj"):
            layers = {name: nn.Linear(width, width) for name in SEQUENCES}
            self.add_module(projection, nn.ModuleDict(layers))
        self.attention_layers = nn.ModuleDict(
            {pair: nn.MultiheadAttention(width, heads, batch_first=True) for pair in PAIRS}
        )
        self.attn_norms = nn.ModuleDict({pair: nn.LayerNorm(width) for pair in PAIRS})
        vectors = len(PAIRS) + len(SINGLE_ROWS)
        self.cls_mlp = nn.Sequential(nn.Linear(vectors * width, len(EMOTIONS)))
        limits = torch.tensor([ranges[modality] for modality in MODALITIES])
        self.register_buffer("minimum", limits[:, 0], persistent=False)
        self.register_buffer("span", limits[:, 1] - limits[:, 0], persistent=False)
        self.register_buffer("kept", _leave_one_out(), persistent=False)

    def forward(
        self,
        image: Tensor,
        audio: Tensor,
        face: Tensor,
        speech: Tensor,
        text: Tensor,
        lengths: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return PROBABILITIES [n, 6], CONTRIBUTIONS [n, 5, 6] and ATTENTION [n, 3, 16], float32.

        A contribution is p(all) - p(without that modality). The attention is that paid with
        nothing left out: to each row of contract.SEQUENCES as a key, averaged over the pairs that
        it is in, their queries and heads; padding gets some too.

        Args:
            image: float32 [n, 16, width], raw and zero-padded, as all of them.
            audio: float32 [n, 16, width].
            face: float32 [n, 16, width].
            speech: float32 [n, 1, width].
            text: float32 [n, 1, width].
            lengths: int32 [n, 5], real rows of each; 0 = absent.
        """
        features = {}
        rows = dict(zip(MODALITIES, (image, audio, face, speech, text), strict=True))
        for index, (name, normalised) in enumerate(self.normalise(rows, lengths).items()):
            # All variants, everything and each modality left out, in one batch: [n * 6, ...].
            variants = normalised[:, None] * self.kept[:, index, None, None]
            features[name] = variants.flatten(0, 1)
        scores, received = self._scores(features)
        answers = torch.softmax(scores, dim=-1)
        variants = answers.reshape(-1, len(MODALITIES) + 1, len(EMOTIONS))
        probabilities = variants[:, 0]
        attention = received.reshape(-1, len(MODALITIES) + 1, *received.shape[1:])[:, 0]
        return probabilities, probabilities[:, None] - variants[:, 1:], attention

    def normalise(self, rows: Mapping[str, Tensor], lengths: Tensor) -> dict[str, Tensor]:
        """Return the features scaled, by their upstream names.

        Args:
            rows: modality -> float32 [n, rows, width], raw and zero-padded; in their order.
            lengths: int32 [n, 5].
        """
        return {
            UPSTREAM_NAMES[modality]: self._normalise(rows[modality], lengths[:, index], index)
            for index, modality in enumerate(MODALITIES)
        }

    def logits(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return float32 [n, 6] from normalised, zero-padded features by their upstream names."""
        return self._scores(features)[0]

    def _scores(self, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The logits, and the attention that each row got: float32 [n, 3, 16]."""
        encoded = {
            name: self.dropout(layer(features[name])) for name, layer in self.encoders.items()
        }
        vectors = {name: encoded[name][:, 0] for name in SINGLE_ROWS}
        received: dict[str, list[Tensor]] = {name: [] for name in SEQUENCES}
        for a, b in permutations(SEQUENCES, 2):
            vectors[f"{a}_{b}"], shares = self._attend(f"{a}_{b}", a, b, encoded)
            received[b].append(shares)
        joined = torch.cat([vectors[name] for name in sorted(vectors)], dim=-1)
        scores: Tensor = self.cls_mlp(functional.relu(joined))
        in_order = (received[UPSTREAM_NAMES[modality]] for modality in contract.SEQUENCES)
        return scores, torch.stack([torch.stack(pairs).mean(dim=0) for pairs in in_order], dim=1)

    def _normalise(self, rows: Tensor, length: Tensor, index: int) -> Tensor:
        """Scale by the training data's range; what is padded or absent is zero, not scaled."""
        real = torch.arange(rows.shape[1], device=rows.device) < length[:, None]
        scaled = (rows - self.minimum[index]) / self.span[index]
        return scaled * real[..., None].to(rows.dtype)

    def _attend(
        self, pair: str, a: str, b: str, encoded: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Queries of a on keys and values of b.

        Normalised and averaged over time, float32 [n, width]; and the share of the attention that
        each of b's rows got, the mean over queries and heads, float32 [n, time].
        """
        layer = self.get_submodule(f"attention_layers.{pair}")
        assert isinstance(layer, nn.MultiheadAttention)
        assert layer.in_proj_bias is not None
        inputs = (
            self.dropout(self.get_submodule(f"query_proj.{a}")(encoded[a])),
            self.dropout(self.get_submodule(f"key_proj.{b}")(encoded[b])),
            self.dropout(self.get_submodule(f"value_proj.{b}")(encoded[b])),
        )
        # Written out: nn.MultiheadAttention would choose a kernel that ONNX has not, and
        # scaled_dot_product_attention keeps the weights to itself.
        parts = zip(inputs, layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3), strict=True)
        queries, keys, values = (
            self._split(functional.linear(rows, weight, bias)) for rows, weight, bias in parts
        )
        scaled = queries / sqrt(queries.shape[-1])
        weights = torch.softmax(scaled @ keys.transpose(2, 3), dim=-1)
        mixed = weights @ values
        attended = layer.out_proj(mixed.transpose(1, 2).flatten(2))
        normalised: Tensor = self.attn_norms[pair](attended)
        averaged: Tensor = self.dropout(normalised.mean(dim=1))
        return averaged, weights.mean(dim=(1, 2))

    def _split(self, rows: Tensor) -> Tensor:
        """Float32 [n, time, width] -> [n, heads, time, width / heads]."""
        return rows.reshape(*rows.shape[:2], self.heads, -1).transpose(1, 2)


def _leave_one_out() -> Tensor:
    """Row 0 keeps all, row i all but modality i - 1: float32 [6, 5]."""
    count = len(MODALITIES)
    return torch.cat([torch.ones(1, count), torch.ones(count, count) - torch.eye(count)])
