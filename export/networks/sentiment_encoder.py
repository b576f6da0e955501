"""RoBERTa that reads how positive a text is.

Source: Liu et al., arXiv 1907.11692; Loureiro et al., arXiv 2202.03829, whose model
cardiffnlp/twitter-roberta-base-sentiment-latest (Hugging Face hub, CC BY 4.0) this is, as
transformers builds it.
"""

from pathlib import Path
from typing import Any, cast

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from torch import nn
from transformers import PretrainedConfig, RobertaConfig, RobertaForSequenceClassification

from export.errors import CheckpointError
from export.networks.state import load_state, read_checkpoint, read_settings
from vemoclap_client.contract import SENTIMENTS

ARCHITECTURE: dict[str, Any] = {
    "vocab_size": 50265,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "id2label": dict(enumerate(SENTIMENTS)),
}
"""Of RoBERTa base, where it is not what transformers takes by default."""

ATTENTION = {"attn_implementation": "sdpa"}
"""That of torch, which both formats can express."""

FIRST_POSITION = 2
"""The number that RoBERTa gives the first token: its padding has 1, and 0 is never used."""

MASKED = -1e4
"""Added to the attention to padding: far below any score, and still a number in float16."""

NOT_USED = ("roberta.pooler.", "roberta.embeddings.position_ids")
"""In published checkpoints: weights of the first training, and a constant."""

BEGIN, PADDING, END, UNKNOWN, MASK = "<s>", "<pad>", "</s>", "<unk>", "<mask>"


class SentimentEncoder(nn.Module):
    """Tokens -> the text's feature, and the probabilities of three sentiments."""

    def __init__(self, model: RobertaForSequenceClassification) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode texts.

        Args:
            input_ids: int64 [N, L], L at most 512; any token may stand where the mask is 0.
            attention_mask: int64 [N, L], 1 for a token, 0 for the padding at the end.

        Returns:
            Features float32 [N, 768], the first token of the last layer, and probabilities
            float32 [N, 3] in the order of `contract.SENTIMENTS`.
        """
        states = encode(self.model.roberta, input_ids, attention_mask)
        probabilities = torch.softmax(self.model.classifier(states).float(), -1)
        return states[:, 0].float(), probabilities


def encode(roberta: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Return the last layer's states [N, L, width] in the model's own type.

    Positions come from the mask, not from RoBERTa's padding token, so that it does not matter
    what the caller pads with.
    """
    positions = attention_mask.cumsum(1) * attention_mask + (FIRST_POSITION - 1)
    states: torch.Tensor = roberta.embeddings(
        input_ids, token_type_ids=torch.zeros_like(input_ids), position_ids=positions
    )
    bias = ((1 - attention_mask) * MASKED).to(states.dtype)[:, None, None]
    for layer in roberta.encoder.layer:
        states = layer(states, bias)
    return states


def build(settings: dict[str, Any] | None = None) -> SentimentEncoder:
    """Return the network with random weights, in evaluation mode.

    Args:
        settings: those of a configuration; without them, those of the published model.
    """
    config = RobertaConfig(**(settings or ARCHITECTURE) | ATTENTION)
    return SentimentEncoder(RobertaForSequenceClassification(config)).eval()


def load(weights: Path, configuration: Path | None = None) -> SentimentEncoder:
    """Return the network with a checkpoint's weights, in evaluation mode.

    Args:
        weights: a state dict of transformers' RobertaForSequenceClassification.
        configuration: its config.json; without it, the published model's is taken.

    Raises:
        CheckpointError: the weights do not fit, or the labels are not the three sentiments.
    """
    encoder = build(read_settings(configuration) if configuration else None)
    labels = [label.lower() for label in labels_of(encoder.model.config)]
    if labels != list(SENTIMENTS):
        raise CheckpointError(
            f"{configuration} names the classes {', '.join(labels)}; needed are, in this order, "
            f"{', '.join(SENTIMENTS)}."
        )
    load_state(encoder.model, read_state(weights), weights)
    return encoder


def labels_of(configuration: PretrainedConfig) -> list[str]:
    """Return the names of a classifier's classes, in order."""
    named: dict[Any, str] = configuration.id2label or {}
    return [named[number] for number in sorted(named)]


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Return a checkpoint's weights, without those that a classifier does not use."""
    state = cast("dict[str, torch.Tensor]", read_checkpoint(path))
    return {key: value for key, value in state.items() if not key.startswith(NOT_USED)}


def tokenizer(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    """Return RoBERTa's tokenizer: pairs of bytes merged, one text between <s> and </s>.

    Args:
        vocabulary: token -> number; the five special ones among them.
        merges: pairs of tokens, the most frequent first.
    """
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([BEGIN, END, UNKNOWN, PADDING, AddedToken(MASK, lstrip=True)])
    made.post_processor = processors.RobertaProcessing(
        (END, vocabulary[END]), (BEGIN, vocabulary[BEGIN]), add_prefix_space=False
    )
    return made


def read_tokenizer(vocabulary: Path, merges: Path) -> Tokenizer:
    """Return the tokenizer of a vocab.json and a merges.txt.

    Raises:
        CheckpointError: they are not such files, or lack a special token.
    """
    try:
        return tokenizer(*models.BPE.read_file(str(vocabulary), str(merges)))
    except Exception as error:
        raise CheckpointError(
            f"{vocabulary} and {merges} are not a RoBERTa tokenizer's files: {error}"
        ) from error


def byte_tokenizer() -> Tokenizer:
    """Return a tokenizer of the same kind that knows the 256 bytes and merges nothing."""
    special = [BEGIN, PADDING, END, UNKNOWN]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*special, *alphabet, MASK]
    return tokenizer({token: number for number, token in enumerate(tokens)}, [])
