"""A tokenizer whose words are bytes: what goes with random weights."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers


def byte_level(size: int, last: Sequence[str] = (), first: Sequence[str] = ()) -> Tokenizer:
    """Return a tokenizer of every text: GPT-2's 256 bytes between special tokens.

    What the bytes leave of the size are tokens that no text is encoded by. But a network with
    random weights answers with them, and they are decoded as numbers.

    Args:
        size: number of all tokens: at least 256 and the special ones.
        last: special tokens, never part of a decoded text, with the highest numbers.
        first: those with the lowest.

    Source: GPT-2's byte-level alphabet, in which "." is token 13.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    numbers = [f"Ġ{number}" for number in range(len(first) + len(alphabet), size - len(last))]
    vocabulary = {token: index for index, token in enumerate([*first, *alphabet, *numbers])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([*first, *last])
    return tokenizer


def tokens(tokenizer: Tokenizer) -> list[str]:
    """Return the tokens in the order of their numbers, the special ones included."""
    numbers = tokenizer.get_vocab(with_added_tokens=True)
    return sorted(numbers, key=numbers.__getitem__)
