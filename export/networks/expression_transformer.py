"""A vision transformer that reads the expression of a face.

Source: Dosovitskiy et al., arXiv 2010.11929; the architecture and the preprocessing of
trpakov/vit-face-expression on the Hugging Face hub (Apache-2.0), as transformers builds it. The
face is stretched to 224 x 224 before, by face_analyzer.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import ViTConfig, ViTForImageClassification

from export.errors import CheckpointError
from export.networks.state import load_state, read_checkpoint, read_settings
from vemoclap_client.contract import EXPRESSIONS

ORIGINAL_LABELS = {
    "angry": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "happy": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "surprise": "surprised",
}
"""The model's name of an expression -> that of `contract.EXPRESSIONS`."""

GREY = 127.5
"""Mean and deviation of 0.5 of full scale, as the model's preprocessing has them."""

RENAMED = (
    ("vit.encoder.layer.", "vit.layers."),
    ("attention.attention.query", "attention.q_proj"),
    ("attention.attention.key", "attention.k_proj"),
    ("attention.attention.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
    ("intermediate.dense", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
)
"""In order: names in published checkpoints -> those of the modules since transformers 5."""


class ExpressionTransformer(nn.Module):
    """The crop of a face -> its feature, and the probabilities of seven expressions.

    Args:
        model: its labels must be in the order of `contract.EXPRESSIONS`.
    """

    def __init__(self, model: ViTForImageClassification) -> None:
        super().__init__()
        self.model = model

    def forward(self, crop: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Read the expression.

        Args:
            crop: uint8 [N, 224, 224, 3], RGB, a face's box stretched to it.

        Returns:
            Features float32 [N, 768], the first token of the last layer before the final layer
            norm, and probabilities float32 [N, 7] in the order of `contract.EXPRESSIONS`.
        """
        pixels = crop.permute(0, 3, 1, 2).float() / GREY - 1
        transformer = self.model.vit
        states = transformer.embeddings(pixels.to(transformer.layernorm.weight.dtype))
        for layer in transformer.layers:
            states = layer(states)
        first = states[:, 0]
        logits = self.model.classifier(transformer.layernorm(first))
        return first.float(), torch.softmax(logits.float(), -1)


def configure(settings: Mapping[str, Any] | None = None) -> ViTConfig:
    """Return the configuration of the architecture.

    Args:
        settings: content of the model's config.json; without it, that of ViT-B/16.
    """
    chosen = dict(settings or {"num_labels": len(EXPRESSIONS)})
    return ViTConfig(**chosen | {"attn_implementation": "sdpa"})


def load(weights: Path, configuration: Path | None = None) -> ExpressionTransformer:
    """Return the network with a checkpoint's weights, in evaluation mode.

    Args:
        weights: a state dict of transformers' ViTForImageClassification.
        configuration: its config.json; without it, ViT-B/16 with the labels in the order of
            `contract.EXPRESSIONS`.

    Raises:
        CheckpointError: the weights do not fit, or the labels are not the seven expressions.
    """
    settings = read_settings(configuration) if configuration else {}
    state = cast("dict[str, torch.Tensor]", read_checkpoint(weights))
    model = ViTForImageClassification(configure(settings))
    load_state(model, {_module_name(key): value for key, value in state.items()}, weights)
    if settings:
        _reorder(
            model.get_submodule("classifier"), order_of(settings.get("id2label", {}), configuration)
        )
    return ExpressionTransformer(model).eval()


def order_of(labels: Mapping[str, str], origin: Path | None) -> list[int]:
    """Return, for each of `contract.EXPRESSIONS`, which of the model's classes it is.

    Args:
        labels: the configuration's `id2label`: number of a class, as JSON has it -> its name.
        origin: the configuration's file, for the message.

    Raises:
        CheckpointError: the labels are others than the seven expressions.
    """
    found = {ORIGINAL_LABELS.get(label.lower()): int(key) for key, label in labels.items()}
    if set(found) != set(EXPRESSIONS):
        raise CheckpointError(
            f"{origin} names the classes {', '.join(labels.values())}; "
            f"needed are {', '.join(ORIGINAL_LABELS)}."
        )
    return [found[expression] for expression in EXPRESSIONS]


def _reorder(layer: nn.Module, order: list[int]) -> None:
    layer.load_state_dict({name: rows[order] for name, rows in layer.state_dict().items()})


def _module_name(key: str) -> str:
    for published, current in RENAMED:
        key = key.replace(published, current)
    return key
