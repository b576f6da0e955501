"""Whisper's encoder, from the weights that CTranslate2 has of it."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from export.errors import CheckpointError
from export.networks import ctranslate2_weights
from export.networks.layers import attention
from export.networks.state import load_state

PREFIX = "encoder/"
HEADS = "num_heads"
NAMES = {
    r"layer_(\d+)": r"layers.\1",
    "/": ".",
    "gamma": "weight",
    "beta": "bias",
    "position_encodings.encodings": "positions",
}
"""Pattern in a variable's name in CTranslate2's file -> the module's, in this order."""
SIZES = ("conv1.weight", "layers.0.ffn.linear_0.bias", "positions")
"""The variables whose shapes are the network's sizes."""


class SelfAttention(nn.Module):
    """What each place takes from all places."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.layer_norm = nn.LayerNorm(width)
        self.linear_0 = nn.Linear(width, 3 * width)
        self.linear_1 = nn.Linear(width, width)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """float32 [N, places, width] -> the same."""
        query, key, value = self.linear_0(self.layer_norm(states)).chunk(3, dim=-1)
        attended: torch.Tensor = self.linear_1(attention(query, key, value, self.heads))
        return attended


class FeedForward(nn.Module):
    """What each place makes of its own state."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(width)
        self.linear_0 = nn.Linear(width, inner)
        self.linear_1 = nn.Linear(inner, width)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """float32 [N, places, width] -> the same."""
        made: torch.Tensor = self.linear_1(functional.gelu(self.linear_0(self.layer_norm(states))))
        return made


class Layer(nn.Module):
    """One layer of the transformer."""

    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.self_attention = SelfAttention(width, heads)
        self.ffn = FeedForward(width, inner)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """float32 [N, places, width] -> the same."""
        states = states + self.self_attention(states)
        after: torch.Tensor = states + self.ffn(states)
        return after


class WhisperEncoder(nn.Module):
    """Two convolutions and a transformer over a log-mel spectrogram.

    Source: Radford et al., arXiv 2212.04356; openai/whisper, model.py, `AudioEncoder`.

    Args:
        mels: bins of the spectrogram.
        width: of a place's state.
        inner: of the layers' feed-forward networks.
        layers: of the transformer.
        heads: of its attention.
        places: that have a position: half the frames of 30 s.
    """

    positions: torch.Tensor

    def __init__(
        self, mels: int, width: int, inner: int, layers: int, heads: int, places: int
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(mels, width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(width, width, kernel_size=3, stride=2, padding=1)
        self.register_buffer("positions", torch.zeros(places, width))
        self.layers = nn.ModuleList(Layer(width, inner, heads) for _ in range(layers))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        """Encode spectrograms.

        Args:
            mels: float32 [N, mels, frames], an even number of frames, 100 a second, 3,000 at most.

        Returns:
            float32 [N, frames / 2, width].
        """
        states = functional.gelu(self.conv1(mels))
        states = functional.gelu(self.conv2(states)).transpose(1, 2)
        states = states + self.positions[: states.shape[1]]
        for layer in self.layers:
            states = layer(states)
        normalised: torch.Tensor = self.layer_norm(states)
        return normalised


def load(model: Path) -> WhisperEncoder:
    """Return the encoder of CTranslate2's model.bin, in evaluation mode.

    Raises:
        CheckpointError: the file is no Whisper.
    """
    variables = {
        name.removeprefix(PREFIX): value
        for name, value in ctranslate2_weights.read(model).items()
        if name.startswith(PREFIX)
    }
    heads = variables.pop(HEADS, None)
    state = {_module_name(name): value for name, value in variables.items()}
    if heads is None or not state.keys() >= {*SIZES}:
        raise CheckpointError(
            f"{model} is no Whisper: it lacks one of {', '.join((HEADS, *SIZES))}"
        )
    convolution, inner, positions = (state[name] for name in SIZES)
    network = WhisperEncoder(
        mels=convolution.shape[1],
        width=len(convolution),
        inner=len(inner),
        layers=len({name.split(".")[1] for name in state if name.startswith("layers.")}),
        heads=int(heads),
        places=len(positions),
    )
    load_state(network, state, model)
    return network.eval()


def _module_name(name: str) -> str:
    for theirs, ours in NAMES.items():
        name = re.sub(theirs, ours, name)
    return name
