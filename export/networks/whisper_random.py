"""A tiny Whisper with random weights, in CTranslate2's format, as faster-whisper loads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from ctranslate2.converters.transformers import WhisperLoader
from faster_whisper.tokenizer import _LANGUAGE_CODES
from transformers import WhisperConfig, WhisperForConditionalGeneration

from export.networks.byte_tokenizer import byte_level, tokens

MEL_BINS = 128
"""As in large-v3; smaller ones have 80, which is faster-whisper's default."""
TEXT_TOKENS = 50_257
TIMESTAMPS = 1_501
"""0.00 s to 30.00 s, every 20 ms."""
ARCHITECTURE: dict[str, Any] = {
    "num_mel_bins": MEL_BINS,
    "d_model": 64,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 256,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 256,
}
BEFORE_LANGUAGES = ("<|endoftext|>", "<|startoftranscript|>")
AFTER_LANGUAGES = (
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)


def write(seed: int, folder: Path) -> None:
    """Write model.bin, config.json, vocabulary.json, preprocessor_config.json, tokenizer.json.

    Args:
        seed: of the weights.
        folder: an existing one.

    Source: the order of Whisper large-v3's tokens (openai/whisper, tokenizer.py).
    """
    languages = [f"<|{code}|>" for code in _LANGUAGE_CODES]
    times = [f"<|{index * 0.02:.2f}|>" for index in range(TIMESTAMPS)]
    special = [*BEFORE_LANGUAGES, *languages, *AFTER_LANGUAGES, *times]
    tokenizer = byte_level(TEXT_TOKENS + len(special), special)
    tokenizer.save(str(folder / "tokenizer.json"))
    vocabulary = tokens(tokenizer)
    # CTranslate2 takes a Whisper for multilingual that has an empty token, as the real ones do.
    vocabulary[TEXT_TOKENS - 1] = ""
    _write_model(seed, vocabulary, languages, folder)
    preprocessor = json.dumps({"feature_size": MEL_BINS}) + "\n"
    (folder / "preprocessor_config.json").write_text(preprocessor, encoding="utf-8")


def _write_model(seed: int, vocabulary: list[str], languages: list[str], folder: Path) -> None:
    ids = {token: index for index, token in enumerate(vocabulary)}
    end = ids["<|endoftext|>"]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        config = WhisperConfig(vocab_size=len(vocabulary), pad_token_id=end, **ARCHITECTURE)
        specification = WhisperLoader().get_model_spec(WhisperForConditionalGeneration(config))
    specification.register_vocabulary(vocabulary)
    specification.config.suppress_ids = []
    specification.config.suppress_ids_begin = [end]
    specification.config.lang_ids = [ids[language] for language in languages]
    specification.config.alignment_heads = [[1, 0], [1, 1]]
    specification.validate()
    specification.optimize(quantization="float32")
    specification.save(str(folder))
