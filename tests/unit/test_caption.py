"""The search for a caption."""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from export.slots.paper import caption_decoder, captioner
from server.slots import caption
from server.slots.slot import Tensors

STOP, A, B = range(3)
Distribution = Callable[[tuple[int, ...]], Sequence[float]]


def search(distribution: Distribution, width: int, longest: int = 4) -> tuple[int, ...]:
    """Search where `distribution` tells the probability of each next token."""

    async def next_tokens(sequences: Sequence[tuple[int, ...]]) -> NDArray[np.float32]:
        assert not any(STOP in sequence for sequence in sequences)
        assert len(sequences) <= width
        return np.log([distribution(sequence) for sequence in sequences]).astype(np.float32)

    return asyncio.run(caption.beam_search(next_tokens, width, longest, STOP))


def tempting(tokens: tuple[int, ...]) -> Sequence[float]:
    """A looks better at first; after B, all is certain."""
    return {(): (0.01, 0.59, 0.4), (B,): (0.98, 0.01, 0.01)}.get(tokens, (0.4, 0.3, 0.3))


def test_a_wide_search_finds_what_a_greedy_one_misses() -> None:
    assert search(tempting, width=1) == (A, STOP)
    assert search(tempting, width=2) == (B, STOP)


def test_a_longer_sentence_wins_by_its_mean_though_not_by_its_sum() -> None:
    def distribution(tokens: tuple[int, ...]) -> Sequence[float]:
        return (0.9, 0.05, 0.05) if tokens else (0.5, 0.45, 0.05)

    assert 0.5 > 0.45 * 0.9
    assert search(distribution, width=3) == (A, STOP)


def test_a_sentence_without_an_end_is_cut() -> None:
    assert search(lambda _: (0.01, 0.98, 0.01), width=2, longest=7) == (A,) * 7


@pytest.mark.parametrize("seed", range(5))
def test_a_search_of_everything_finds_the_best_there_is(seed: int) -> None:
    longest, vocabulary = 3, 4
    table = np.random.default_rng(seed).dirichlet(np.ones(vocabulary), (vocabulary,) * longest)

    def distribution(tokens: tuple[int, ...]) -> Sequence[float]:
        padded = (*tokens, *(0,) * longest)[:longest]
        return table[padded].tolist()

    def mean(tokens: tuple[int, ...]) -> float:
        rows = [distribution(tokens[:index])[token] for index, token in enumerate(tokens)]
        return float(np.log(rows).mean())

    sentences = [
        tokens
        for length in range(1, longest + 1)
        for tokens in itertools.product(range(vocabulary), repeat=length)
        if STOP not in tokens[:-1] and (length == longest or tokens[-1] == STOP)
    ]
    assert search(distribution, width=200, longest=longest) == max(sentences, key=mean)


def test_log_softmax_of_large_logits_is_finite() -> None:
    logs = caption.log_softmax(np.float32([[1000.0, 1000.0], [-1000.0, 0.0]]))
    np.testing.assert_allclose(np.exp(logs), [[0.5, 0.5], [0, 1]], atol=1e-6)


# --- the step ---

SENTENCE = " a dog."


class Decoder:
    """A fake caption_decoder that wants to say SENTENCE; remembers what it was asked."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self.tokens = tokens
        self.asked: list[Mapping[str, NDArray[Any]]] = []

    async def __call__(
        self, slot: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> Tensors:
        assert slot == "caption_decoder"
        self.asked.append(inputs)
        logits = np.zeros((len(inputs["TOKENS"]), caption_decoder.VOCABULARY), np.float32)
        for row, tokens, (count,) in zip(
            logits, inputs["TOKENS"], inputs["TOKEN_COUNT"], strict=True
        ):
            if tokens[:count].tolist() == list(self.tokens[:count]):
                row[self.tokens[count]] = 20
        return {"LOGITS": logits}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captioner")
    captioner.make_random(0, folder)
    return folder / "1"


def test_the_decoder_is_led_to_a_sentence(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    decoder = Decoder(tokenizer.encode(SENTENCE).ids)
    feature = np.arange(512, dtype=np.float32)
    answer = asyncio.run(caption.Captioner(folder).run({"IMAGE_FEATURE": feature}, decoder))
    assert answer["CAPTION"].tolist() == [SENTENCE.strip().encode()]
    # One call per token until all five beams have ended or the sentence is as long as may be.
    assert [len(inputs["TOKENS"]) for inputs in decoder.asked][:3] == [1, 5, 5]
    assert len(decoder.asked) <= caption.TOKENS_AT_MOST
    declared = {tensor.name: tensor for tensor in caption_decoder.SLOT.network.inputs}  # type: ignore[union-attr]
    for name, array in decoder.asked[1].items():
        assert array.dtype == declared[name].dtype
        assert array.shape == (5, *declared[name].dims)
    np.testing.assert_array_equal(decoder.asked[1]["FEATURE"][4], feature)


def test_a_feature_of_no_numbers_is_an_error(folder: Path) -> None:
    feature = np.full(512, np.nan, np.float32)
    with pytest.raises(ValueError, match="IMAGE_FEATURE holds values that are not finite"):
        asyncio.run(caption.Captioner(folder).run({"IMAGE_FEATURE": feature}, Decoder([1])))


def test_the_stop_token_is_the_full_stop(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.encode(".").ids == [caption.FULL_STOP]
    assert tokenizer.get_vocab_size() == caption_decoder.VOCABULARY
