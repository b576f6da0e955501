"""A sentence's meaning as a direction in space, and how positive it is."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional
from transformers import BertConfig, BertModel

NOT_USED = ("pooler.", "embeddings.position_ids")
"""Weights of the checkpoint that sentence embeddings have no use for."""


class SentenceEncoder(nn.Module):
    """BERT, averaged over the real tokens, of length one; with a sentiment by nearest prototypes.

    Source: Sentence-BERT (Reimers and Gurevych, arXiv 1908.10084); the model card of
    sentence-transformers/all-MiniLM-L6-v2.

    Args:
        bert: the transformer.
        prototypes: float32 [3, width], one direction of length one per sentiment.
        temperature: how far apart cosines must be to matter.
    """

    prototypes: torch.Tensor

    def __init__(self, bert: nn.Module, prototypes: torch.Tensor, temperature: float) -> None:
        super().__init__()
        self.bert = bert
        self.temperature = temperature
        self.register_buffer("prototypes", prototypes)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode sentences.

        Args:
            input_ids: int64 [N, L], L at most 512.
            attention_mask: int64 [N, L], 1 for a token, 0 for padding.

        Returns:
            Features float32 [N, width] of length one, and the probabilities of the sentiments
            float32 [N, 3] in the order of `contract.SENTIMENTS`.
        """
        features = embed(self.bert, input_ids, attention_mask)
        closeness = features @ self.prototypes.T
        return features, torch.softmax(closeness / self.temperature, -1)


def embed(bert: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Return float32 [N, width] of length one: the mean over the real tokens."""
    states = bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    weights = attention_mask.unsqueeze(2).to(states.dtype)
    total = (states * weights).sum(1)
    return functional.normalize(total / weights.sum(1).clamp(min=1), dim=1)


def load_bert(configuration: Path, weights: Path) -> nn.Module:
    """Return the transformer without its pooler, in evaluation mode."""
    settings = json.loads(configuration.read_text(encoding="utf-8"))
    config = BertConfig(**settings | {"attn_implementation": "eager"})
    bert: nn.Module = BertModel(config, add_pooling_layer=False)
    state = load_file(weights)
    bert.load_state_dict({k: v for k, v in state.items() if not k.startswith(NOT_USED)})
    return bert.eval()
