"""BEATs, a transformer over patches of a spectrogram, with the events that it was fine-tuned on.

The layers are speechbrain's, so that the original checkpoints fit name by name; its `forward`
is written anew over them, because neither exporter can write the original: it loops over the
batch for Kaldi's front end, calls an autograd function and a random number in every layer,
branches on padding, bakes the batch's size into views and makes its positions on the CPU.

Source: Chen et al., "BEATs: Audio Pre-Training with Acoustic Tokenizers", ICML 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from speechbrain.lobes.models.beats import BEATsConfig, TransformerEncoder
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrize import remove_parametrizations

from export.errors import CheckpointError
from export.networks.kaldi_fbank import KaldiFbank
from export.networks.state import load_state, read_checkpoint

BAND_MEAN = 15.41663
BAND_DEVIATION = 6.55582
"""Of the log energies that the original was trained on; it divides by twice the deviation.

Source: the original's `BEATs.preprocess`.
"""

TOKENS = 18 * 8
"""Patches of 16 frames x 16 bands in the 298 frames x 128 bands of a window of 3 s."""

LOGIT_SCALE = 32
"""Attention's logits are kept this much smaller until their largest is subtracted, so that they
stay within float16."""

CLASSES = 527
"""Of AudioSet that have examples."""

FORWARD = {
    "activation_fn": "gelu",
    "deep_norm": True,
    "layer_norm_first": False,
    "relative_position_embedding": True,
    "gru_rel_pos": True,
    "finetuned_model": True,
    "input_patch_size": 16,
    "encoder_embed_dim": 768,
    "predictor_class": CLASSES,
}
"""What `forward` and the slot are written for: a checkpoint with other settings is refused."""

SETTINGS = {**FORWARD, "num_buckets": 320, "max_distance": 800}
"""Of iter3+, fine-tuned on AudioSet; what is not named is as speechbrain has it by default."""


class AudioEncoder(nn.Module):
    """BEATs with its front end: a window of sound -> its feature and its events.

    Args:
        settings: `cfg` of a checkpoint; checked by `restore`.
    """

    FLOAT32_PARTS = ("fbank",)

    buckets: torch.Tensor

    def __init__(self, settings: Mapping[str, Any] = SETTINGS) -> None:
        super().__init__()
        config = BEATsConfig(dict(settings))
        patch, width = config.input_patch_size, config.embed_dim
        self.fbank = KaldiFbank()
        self.patch_embedding = nn.Conv2d(1, width, patch, stride=patch, bias=config.conv_bias)
        self.layer_norm = nn.LayerNorm(width)
        self.post_extract_proj = nn.Linear(width, config.encoder_embed_dim)
        self.encoder = TransformerEncoder(config)
        self.predictor = nn.Linear(config.encoder_embed_dim, config.predictor_class)
        remove_parametrizations(self.encoder.pos_conv[0], "weight")
        self.register_buffer("buckets", self._position_buckets(), persistent=False)

    def _position_buckets(self) -> torch.Tensor:
        """Return int64 [144, 144]: the bucket of each key's distance from each query."""
        position = torch.arange(TOKENS)
        distance = position[None, :] - position[:, None]
        buckets: torch.Tensor = self.encoder.layers[0].self_attn._relative_positions_bucket(
            distance
        )
        return buckets

    def forward(self, window: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode windows of sound.

        The original's probability is the sigmoid of the predictor's mean over frames. A linear
        layer and a mean commute, so it is that of the mean feature, too. Over several windows the
        two part: VEMOCLAP shows the events of the mean feature, whoever averages these EVENTS
        shows the mean probability, which is the higher of the two for an event that is clear in
        few windows and unlikely in the others.

        Args:
            window: float32 [N, 48000], 3 s at 16 kHz, in [-1, 1].

        Returns:
            Features float32 [N, 768], the mean over the encoder's frames. Events float32
            [N, 527], probabilities of AudioSet's classes in the order of the checkpoint's
            `label_dict`; they do not exclude each other.
        """
        levels = (self.fbank(window) - BAND_MEAN) / (2 * BAND_DEVIATION)
        computed = self.patch_embedding.weight.dtype
        patches = self.patch_embedding(levels.unsqueeze(1).to(computed))
        embedded = self.layer_norm(patches.flatten(2).transpose(1, 2))
        states = self._encode(self.post_extract_proj(embedded))
        features = states.float().mean(1)
        return features, self.predictor(features.to(computed)).float().sigmoid()

    def _encode(self, states: torch.Tensor) -> torch.Tensor:
        """Run the transformer over [N, 144, 768]."""
        moved = self.encoder.pos_conv(states.transpose(1, 2)).transpose(1, 2)
        states = self.encoder.layer_norm(states + moved)
        # All layers share the first one's table: [144, 144, heads] -> [heads, 144, 144].
        table = self.encoder.layers[0].self_attn.relative_attention_bias
        bias = table(self.buckets).permute(2, 0, 1)
        for layer in self.encoder.layers:
            states = _transform(layer, states, bias)
        return states


def _transform(layer: Any, states: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Apply one layer, normalised after each addition, its input weighted (DeepNorm)."""
    attended = _attend(layer.self_attn, states, bias)
    states = layer.self_attn_layer_norm(states * layer.deep_norm_alpha + attended)
    hidden = functional.gelu(layer.fc1(states))
    normalised: torch.Tensor = layer.final_layer_norm(
        states * layer.deep_norm_alpha + layer.fc2(hidden)
    )
    return normalised


def _attend(attention: Any, states: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Attend among the tokens of each item; `bias` is float [heads, 144, 144]."""
    heads = (attention.num_heads, attention.head_dim)
    query, key, value = (
        project(states).unflatten(2, heads).transpose(1, 2)
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    logits = torch.matmul(query * (attention.scaling / LOGIT_SCALE), key.transpose(2, 3))
    logits = (logits - logits.amax(3, keepdim=True)) * LOGIT_SCALE
    weights = torch.softmax(logits + _gate(attention, query) * bias, 3)
    mixed: torch.Tensor = attention.out_proj(
        torch.matmul(weights, value).transpose(1, 2).flatten(2)
    )
    return mixed


def _gate(attention: Any, query: torch.Tensor) -> Any:
    """Return [N, heads, 144, 1]: how much each query heeds where the keys are.

    Source: Chi et al., "XLM-E", section 2.2: gated relative position bias.
    """
    gates = attention.grep_linear(query).unflatten(3, (2, 4)).sum(4).sigmoid()
    update, reset = gates.chunk(2, dim=3)
    return update * (reset * attention.grep_a - 1.0) + 2.0


def random() -> AudioEncoder:
    """Return the full-size network with random weights, in evaluation mode.

    Positions and their gates, which start out next to nothing, are given weight: a mistake in them
    would not show in a comparison otherwise.
    """
    network = AudioEncoder()
    with torch.no_grad():
        network.encoder.layers[0].self_attn.relative_attention_bias.weight.mul_(10)
        for layer in network.encoder.layers:
            layer.self_attn.grep_linear.weight.mul_(20)
    return network.eval()


def restore(path: Path) -> AudioEncoder:
    """Return the network of a checkpoint in the original format, in evaluation mode.

    Args:
        path: torch.save of {"cfg": settings, "model": weights, "label_dict": index -> id}.

    Raises:
        CheckpointError: it is not one, or of a model that this slot is not written for.
    """
    checkpoint = read_checkpoint(path)
    settings, state = _part(path, checkpoint, "cfg"), _part(path, checkpoint, "model")
    other = [
        f"{name} is {settings.get(name)!r}, not {wanted!r}"
        for name, wanted in FORWARD.items()
        if settings.get(name) != wanted
    ]
    if other:
        raise CheckpointError(
            f"{path} is of another kind of BEATs: {'; '.join(other)}. It takes one of the base "
            "size that was fine-tuned on AudioSet."
        )
    network = AudioEncoder(settings)
    load_state(network, _plain_weights(state), path)
    return network.eval()


def label_ids(path: Path) -> list[str]:
    """Return the AudioSet ids of the predictor's classes, in order.

    Raises:
        CheckpointError: the checkpoint has no `label_dict`, or it skips a class.
    """
    labels = _part(path, read_checkpoint(path), "label_dict")
    ids = {int(index): str(identifier) for index, identifier in labels.items()}
    if sorted(ids) != list(range(CLASSES)):
        raise CheckpointError(f"{path}: label_dict has {len(ids)} classes, not 0 to {CLASSES - 1}.")
    return [ids[index] for index in sorted(ids)]


def _part(path: Path, checkpoint: Mapping[str, object], name: str) -> dict[str, Any]:
    part = checkpoint.get(name)
    if not isinstance(part, dict):
        raise CheckpointError(
            f"{path} has no {name!r}, but {', '.join(list(checkpoint)[:8]) or 'nothing'}. A "
            "checkpoint of BEATs holds 'cfg', 'model' and 'label_dict'."
        )
    return part


def _plain_weights(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights with the positional convolution's, kept as size and direction, as one."""
    name = "encoder.pos_conv.0.weight"
    plain = dict(state)
    if f"{name}_g" in plain and f"{name}_v" in plain:
        size, direction = plain.pop(f"{name}_g"), plain.pop(f"{name}_v")
        plain[name] = size * direction / direction.norm(dim=(0, 1), keepdim=True)
    return plain
