"""CLIP prefix captioning: GPT-2, told by ten made-up words what is in the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D

from export.networks.state import load_state, read_checkpoint

FEATURES = 512
WIDTH = 768
PREFIX_LENGTH = 10
TOKEN_LENGTH = 20
"""Tokens of a caption, at most."""
VOCABULARY = 50_257

SETTINGS: dict[str, Any] = {"attn_implementation": "eager", "use_cache": False}
"""Beside those of GPT-2 small, which are the defaults: what can be exported."""

OUTPUT, EMBEDDING = "gpt.lm_head.weight", "gpt.transformer.wte.weight"
MASKS = (".attn.bias", ".attn.masked_bias")
"""Constants that older versions of transformers stored with the weights."""


class PrefixMapper(nn.Module):
    """The feature of a picture -> embeddings that stand before those of the words."""

    def __init__(self) -> None:
        super().__init__()
        width = WIDTH * PREFIX_LENGTH
        self.model = nn.Sequential(
            nn.Linear(FEATURES, width // 2), nn.Tanh(), nn.Linear(width // 2, width)
        )

    def forward(self, feature: torch.Tensor) -> torch.Tensor:
        """[N, 512] -> [N, 10, 768]."""
        prefix: torch.Tensor = self.model(feature)
        return prefix.reshape(-1, PREFIX_LENGTH, WIDTH)


class CaptionDecoder(nn.Module):
    """The feature of a picture and the words so far -> how likely each word is next.

    Computes in the type of its own weights.

    Source: ClipCap (Mokady, Hertz, Bermano; arXiv 2111.09734), with an MLP as mapper and GPT-2
    small, trained on Conceptual Captions. Its parameters have the names of the authors'
    checkpoint.
    """

    later_words: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.clip_project = PrefixMapper()
        # Given ready-made: transformers' own way to make it depends on the batch it is traced on.
        length = PREFIX_LENGTH + TOKEN_LENGTH
        mask = torch.full((1, 1, length, length), -torch.inf).triu(1)
        self.register_buffer("later_words", mask, persistent=False)
        self.gpt = GPT2LMHeadModel(GPT2Config(**SETTINGS))

    def forward(
        self, feature: torch.Tensor, tokens: torch.Tensor, token_count: torch.Tensor
    ) -> tuple[torch.Tensor]:
        """Weigh the words that may come next.

        Args:
            feature: float32 [N, 512], CLIP's, as it is.
            tokens: int64 [N, 20], GPT-2's; from the count on they are padding, and since attention
                is causal, it does not matter what they are.
            token_count: int32 [N, 1], 0 to 20.

        Returns:
            Logits float32 [N, 50257].
        """
        embedding = self.gpt.transformer.wte
        prefix = self.clip_project(feature.to(embedding.weight.dtype))
        sequence = torch.cat([prefix, embedding(tokens)], dim=1)
        states = self.gpt.transformer(
            inputs_embeds=sequence, attention_mask=self.later_words
        ).last_hidden_state
        last = token_count.clamp(0, TOKEN_LENGTH).long() + (PREFIX_LENGTH - 1)
        state = states.gather(1, last.unsqueeze(2).expand(-1, -1, WIDTH))
        return (self.gpt.lm_head(state).squeeze(1).float(),)


def load(checkpoint: Path) -> CaptionDecoder:
    """Return the decoder with the authors' weights, in evaluation mode.

    Raises:
        CheckpointError: they are not its weights.
    """
    state = cast("dict[str, torch.Tensor]", read_checkpoint(checkpoint))
    network = CaptionDecoder()
    load_state(network, _without_constants(state), checkpoint)
    return with_linear_layers(network)


def random() -> CaptionDecoder:
    """Return the decoder with random weights, in evaluation mode."""
    return with_linear_layers(CaptionDecoder())


def _without_constants(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights alone; those that input and output share under both names."""
    shared = {OUTPUT: state[EMBEDDING]} if EMBEDDING in state else {}
    return {key: value for key, value in (shared | state).items() if not key.endswith(MASKS)}


def with_linear_layers(network: CaptionDecoder) -> CaptionDecoder:
    """Make GPT-2's own kind of layer linear ones, which can be quantised; to evaluation mode."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Conv1D):
                setattr(parent, name, _linear(child))
    return network.eval()


def _linear(layer: Conv1D) -> nn.Linear:
    inputs, outputs = layer.weight.shape
    linear = nn.Linear(inputs, outputs, device="meta")
    linear.weight = nn.Parameter(layer.weight.detach().T.contiguous())
    linear.bias = nn.Parameter(layer.bias.detach())
    return linear
