"""NLLB in CTranslate2's format: the pretrained one, and a tiny random one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from ctranslate2.converters.transformers import M2M100Loader
from tokenizers import Tokenizer
from transformers import M2M100Config, M2M100ForConditionalGeneration

from export.networks.byte_tokenizer import byte_level, tokens
from export.networks.state import load_state, read_checkpoint, read_settings
from server.slots.languages import FLORES

STORED_AS = "float16"
"""Half the size on the disk; the server computes in what fits its device."""
SHARED = "model.shared.weight"
SHARED_WITH = (
    "model.encoder.embed_tokens.weight",
    "model.decoder.embed_tokens.weight",
    "lm_head.weight",
)
COMPUTED = ("model.encoder.embed_positions.weights", "model.decoder.embed_positions.weights")
"""Sines: some versions of transformers stored them, others compute them."""

BEGIN, PADDING, END, UNKNOWN = SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
RANDOM_TOKENS = 512
RANDOM_ARCHITECTURE: dict[str, Any] = {
    "d_model": 64,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 128,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 128,
    "scale_embedding": True,
    "activation_function": "relu",
}


def load(config: Path, weights: Path) -> M2M100ForConditionalGeneration:
    """Return NLLB.

    Raises:
        CheckpointError: the weights do not fit the configuration.
    """
    network = M2M100ForConditionalGeneration(M2M100Config(**read_settings(config)))
    state = cast("dict[str, torch.Tensor]", read_checkpoint(weights))
    load_state(network, _complete(state), weights)
    return network


def _complete(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the state with what is shared under each of its names."""
    shared = dict.fromkeys(SHARED_WITH, state[SHARED]) if SHARED in state else {}
    return {key: value for key, value in (shared | state).items() if key not in COMPUTED}


def random(seed: int) -> tuple[M2M100ForConditionalGeneration, Tokenizer]:
    """Return a tiny NLLB with random weights, and a tokenizer for it."""
    tokenizer = byte_level(RANDOM_TOKENS, last=sorted(FLORES.values()), first=SPECIAL)
    config = M2M100Config(vocab_size=tokenizer.get_vocab_size(), **RANDOM_ARCHITECTURE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = M2M100ForConditionalGeneration(config)
    return network, tokenizer


def write(network: M2M100ForConditionalGeneration, tokenizer: Tokenizer, folder: Path) -> None:
    """Write model.bin, config.json, shared_vocabulary.json, tokenizer.json into the folder.

    The vocabulary is the tokenizer's, filled up to as many tokens as the network has.
    """
    vocabulary = tokens(tokenizer)
    padding = range(network.config.vocab_size - len(vocabulary))
    vocabulary += [f"<unused{number}>" for number in padding]
    with torch.no_grad():
        specification = M2M100Loader().get_model_spec(network)
    specification.register_source_vocabulary(vocabulary)
    specification.register_target_vocabulary(vocabulary)
    specification.config.bos_token = BEGIN
    specification.config.eos_token = END
    specification.config.unk_token = UNKNOWN
    specification.config.decoder_start_token = END
    specification.validate()
    specification.optimize(quantization=STORED_AS)
    specification.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
