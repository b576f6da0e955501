"""Slot `text_encoder`: tokens -> text feature and sentiment."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from export.spec import Arrays, Builder, Files, Network, Slot, Tensor, generator
from vemoclap_client.contract import SENTIMENTS

if TYPE_CHECKING:
    import torch

    from export.networks.sentence_encoder import SentenceEncoder

FEATURES = 384
LENGTHS = (32, 77)
"""Tokens of the example inputs, by case. The longest the network was made for is 512."""

TEMPERATURE = 0.05
PROTOTYPES = Path(__file__).with_name("sentiment_prototypes.toml")
ARTIFACTS = ("text_encoder_config", "text_encoder_weights", "text_encoder_tokenizer")


def load(files: Files) -> SentenceEncoder:
    """Return all-MiniLM-L6-v2 with the sentiments' prototypes, in evaluation mode."""
    from export.networks import sentence_encoder

    bert = sentence_encoder.load_bert(files["text_encoder_config"], files["text_encoder_weights"])
    return sentence_encoder.SentenceEncoder(bert, prototypes(files), TEMPERATURE).eval()


def embed(files: Files, sentences: Sequence[str]) -> torch.Tensor:
    """Return the sentences' FEATURES by the eager network: float32 [sentences, 384].

    Args:
        files: the artifacts named in `ARTIFACTS`.
        sentences: at least one; each is cut after 512 tokens.
    """
    import torch
    from tokenizers import Tokenizer

    from export.networks import sentence_encoder

    tokenizer = Tokenizer.from_file(str(files["text_encoder_tokenizer"]))
    tokenizer.enable_truncation(512)
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(list(sentences))
    input_ids = torch.tensor([item.ids for item in encoded])
    attention_mask = torch.tensor([item.attention_mask for item in encoded])
    bert = sentence_encoder.load_bert(files["text_encoder_config"], files["text_encoder_weights"])
    with torch.inference_mode():
        return sentence_encoder.embed(bert, input_ids, attention_mask).clone()


def prototypes(files: Files) -> torch.Tensor:
    """Return each sentiment's mean direction, of length one: float32 [3, 384]."""
    import torch

    return torch.nn.functional.normalize(group_means(files, PROTOTYPES, SENTIMENTS), dim=1)


def group_means(files: Files, sentences: Path, groups: Sequence[str]) -> torch.Tensor:
    """Return the mean FEATURES of each group of sentences: float32 [groups, 384].

    Args:
        files: the artifacts named in `ARTIFACTS`.
        sentences: a TOML file with a list of sentences for each group.
        groups: names of the groups, in the order wanted.
    """
    import torch

    listed = tomllib.loads(sentences.read_text(encoding="utf-8"))
    lengths = [len(listed[group]) for group in groups]
    features = embed(files, [sentence for group in groups for sentence in listed[group]])
    return torch.stack([part.mean(0) for part in torch.split(features, lengths)])


def examples(batch: int, case: int, first: int = 1000, end: int = 30_000) -> Arrays:
    """Return random tokens, padded with 0 from a random length on: int64 [batch, 32 or 77].

    Args:
        batch: number of texts.
        case: which of `LENGTHS`.
        first: lowest token that is drawn.
        end: one more than the highest.
    """
    random = generator(batch, case)
    length = LENGTHS[case]
    used = random.integers(3, length + 1, (batch, 1))
    mask = (np.arange(length) < used).astype(np.int64)
    tokens = random.integers(first, end, (batch, length))
    return {"INPUT_IDS": tokens * mask, "ATTENTION_MASK": mask}


SLOT = Slot(
    name="text_encoder",
    module=__name__,
    network=Network(
        inputs=(
            Tensor("INPUT_IDS", "int64", ("length",)),
            Tensor("ATTENTION_MASK", "int64", ("length",)),
        ),
        outputs=(
            Tensor("FEATURES", "float32", (FEATURES,)),
            Tensor("SENTIMENT", "float32", (len(SENTIMENTS),)),
        ),
        examples=examples,
        cases=len(LENGTHS),
    ),
    data=(PROTOTYPES,),
    pretrained=Builder(
        network=load, artifacts=ARTIFACTS, files={"tokenizer.json": "text_encoder_tokenizer"}
    ),
)
