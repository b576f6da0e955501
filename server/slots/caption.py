"""Slot captioner: the feature of a picture -> a sentence about it.

Source: ClipCap (Mokady, Hertz, Bermano; arXiv 2111.09734), which searches with five beams for the
sentence whose tokens are, on average, the most probable.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from server.slots.slot import CPU, Device, Infer, Tensors

BEAMS = 5
TOKENS_AT_MOST = 20
FULL_STOP = 13
"""GPT-2's token of "."."""

NextTokens = Callable[[Sequence[tuple[int, ...]]], Awaitable[NDArray[np.float32]]]
"""Sequences of tokens -> the log probability of each next token, float32 [n, vocabulary]."""


class Captioner:
    """IMAGE_FEATURE float32 [512] (CLIP's, as it is) -> CAPTION string [1]."""

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Loads GPT-2's tokenizer."""
        self._tokenizer = Tokenizer.from_file(str(version_directory / "tokenizer.json"))

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Calls the decoder once per token, for all open beams at once.

        Raises:
            ValueError: the feature holds a value that is not finite.
        """
        feature = inputs["IMAGE_FEATURE"]
        if not np.isfinite(feature).all():
            raise ValueError("IMAGE_FEATURE holds values that are not finite numbers")

        async def next_tokens(sequences: Sequence[tuple[int, ...]]) -> NDArray[np.float32]:
            inputs = decoder_inputs(feature, sequences)
            return log_softmax((await infer("caption_decoder", inputs, ["LOGITS"]))["LOGITS"])

        tokens = await beam_search(next_tokens, BEAMS, TOKENS_AT_MOST, FULL_STOP)
        caption = self._tokenizer.decode(list(tokens)).strip()
        return {"CAPTION": np.array([caption.encode()], object)}


def decoder_inputs(feature: NDArray[np.float32], sequences: Sequence[tuple[int, ...]]) -> Tensors:
    """The same feature with each sequence, padded with zeros to 20 tokens."""
    tokens = np.zeros((len(sequences), TOKENS_AT_MOST), np.int64)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = sequence
    counts = [[len(sequence)] for sequence in sequences]
    return {
        "FEATURE": np.tile(feature, (len(sequences), 1)),
        "TOKENS": tokens,
        "TOKEN_COUNT": np.array(counts, np.int32),
    }


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits of the last axis as log probabilities."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    logs: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logs


@dataclass(frozen=True)
class Beam:
    """A sentence, or the beginning of one."""

    tokens: tuple[int, ...] = ()
    log_probability: float = 0.0
    ended: bool = False

    @property
    def score(self) -> float:
        """Mean log probability of a token, so that short sentences have no advantage."""
        return self.log_probability / max(1, len(self.tokens))


async def beam_search(
    next_tokens: NextTokens, width: int, longest: int, stop: int
) -> tuple[int, ...]:
    """The best sentence found, of 1 to `longest` tokens.

    Args:
        next_tokens: called once per token, with the sentences that have not ended.
        width: how many of the best are followed.
        longest: where a sentence is cut.
        stop: the token that ends a sentence, and is part of it.
    """
    beams = [Beam()]
    for _ in range(longest):
        open_beams = [beam for beam in beams if not beam.ended]
        if not open_beams:
            break
        rows = await next_tokens([beam.tokens for beam in open_beams])
        candidates = [beam for beam in beams if beam.ended]
        for beam, row in zip(open_beams, rows, strict=True):
            candidates += extensions(beam, row, width, stop)
        beams = sorted(candidates, key=lambda beam: beam.score, reverse=True)[:width]
    return beams[0].tokens


def extensions(beam: Beam, row: NDArray[np.float32], width: int, stop: int) -> list[Beam]:
    """The beam with each of the `width` most probable next tokens.

    Args:
        beam: one that has not ended.
        row: log probabilities of the next token, float32 [vocabulary].
        width: how many are wanted.
        stop: the token that ends a sentence.
    """
    best = np.argpartition(-row, min(width, len(row)) - 1)[:width]
    return [
        Beam((*beam.tokens, int(token)), beam.log_probability + float(row[token]), token == stop)
        for token in best
    ]
