"""XLM-RoBERTa that names the language of a text.

Source: Conneau et al., arXiv 1911.02116; papluca/xlm-roberta-base-language-detection on the
Hugging Face hub (MIT), as transformers builds it.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

from export.networks.sentiment_encoder import (
    ATTENTION,
    encode,
    labels_of,
    read_state,
)
from export.networks.state import load_state, read_settings

VOCABULARY_SIZE = 250_002
ARCHITECTURE: dict[str, Any] = {
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
}
"""Of XLM-RoBERTa base, where it is not what transformers takes by default."""


class LanguageClassifier(nn.Module):
    """Tokens -> the probabilities of the languages."""

    def __init__(self, model: XLMRobertaForSequenceClassification) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor]:
        """Name languages.

        Args:
            input_ids: int64 [N, L], L at most 512; any token may stand where the mask is 0.
            attention_mask: int64 [N, L], 1 for a token, 0 for the padding at the end.

        Returns:
            Probabilities float32 [N, languages], in the order of `labels`.
        """
        states = encode(self.model.roberta, input_ids, attention_mask)
        return (torch.softmax(self.model.classifier(states).float(), -1),)

    @property
    def labels(self) -> list[str]:
        """The languages' codes (ISO 639-1)."""
        return labels_of(self.model.config)


def build(labels: tuple[str, ...], vocabulary: int = VOCABULARY_SIZE) -> LanguageClassifier:
    """Return the network with random weights, in evaluation mode.

    Args:
        labels: the languages' codes.
        vocabulary: number of tokens. Of the full size, they are two thirds of the weights.
    """
    named = {"vocab_size": vocabulary, "id2label": dict(enumerate(labels))}
    return _build(ARCHITECTURE | named)


def _build(settings: dict[str, Any]) -> LanguageClassifier:
    config = XLMRobertaConfig(**settings | ATTENTION)
    return LanguageClassifier(XLMRobertaForSequenceClassification(config)).eval()


def load(weights: Path, configuration: Path) -> LanguageClassifier:
    """Return the network with a checkpoint's weights, in evaluation mode.

    Args:
        weights: a state dict of transformers' XLMRobertaForSequenceClassification.
        configuration: its config.json.

    Raises:
        CheckpointError: the weights do not fit.
    """
    classifier = _build(read_settings(configuration))
    load_state(classifier.model, read_state(weights), weights)
    return classifier


def read_labels(configuration: Path) -> list[str]:
    """Return the codes of the languages that a config.json names, in order."""
    return labels_of(XLMRobertaConfig(**read_settings(configuration)))
