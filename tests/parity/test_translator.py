"""The translator as converted, against the eager network it came from; and offline."""

import asyncio
import json
import socket
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import M2M100ForConditionalGeneration

from export.errors import CheckpointError
from export.networks import translation
from export.slots.paper import translator
from server.slots.languages import FLORES
from server.slots.translation import CHARACTERS_AT_MOST, Translator, UnknownLanguageError

TEXT = "Bonjour tout le monde, ça va ?"
UNUSED = 2
"""Tokens of the network beyond the tokenizer's, as NLLB has."""


@pytest.fixture(scope="module")
def eager() -> tuple[M2M100ForConditionalGeneration, Tokenizer]:
    """Return a tiny network whose answers differ from token to token."""
    network, tokenizer = translation.random(0)
    network.resize_token_embeddings(network.config.vocab_size + UNUSED)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
    return network.eval(), tokenizer


@pytest.fixture(scope="module")
def files(
    eager: tuple[M2M100ForConditionalGeneration, Tokenizer],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """Return the three files as the hub has them: shared weights once, the sines stored."""
    network, tokenizer = eager
    folder = tmp_path_factory.mktemp("hub")
    state = {k: v for k, v in network.state_dict().items() if k not in translation.SHARED_WITH}
    sines = network.model.encoder.embed_positions.weights
    torch.save(state | dict.fromkeys(translation.COMPUTED, sines), folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(network.config.to_dict()))
    tokenizer.save(str(folder / "tokenizer.json"))
    return {
        "nllb_weights": folder / "pytorch_model.bin",
        "nllb_config": folder / "config.json",
        "nllb_tokenizer": folder / "tokenizer.json",
    }


@pytest.fixture(scope="module")
def converted(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("translator")
    translator.make(files, folder)
    return folder / "1"


def test_every_tokens_probability_is_the_eager_networks(
    eager: tuple[M2M100ForConditionalGeneration, Tokenizer], converted: Path
) -> None:
    network, tokenizer = eager
    source = ["fra_Latn", *tokenizer.encode(TEXT).tokens, "</s>"]
    target = ["eng_Latn", *tokenizer.encode("Hello!").tokens, "</s>"]
    ids = [[tokenizer.token_to_id(token) for token in tokens] for tokens in (source, target)]
    with torch.inference_mode():
        start = tokenizer.token_to_id("</s>")
        logits = network(
            input_ids=torch.tensor([ids[0]]),
            decoder_input_ids=torch.tensor([[start, *ids[1][:-1]]]),
        ).logits[0]
    expected = logits.log_softmax(-1)[torch.arange(len(target)), torch.tensor(ids[1])]
    model = ctranslate2.Translator(str(converted / "nllb"), compute_type="float32")
    (found,) = model.score_batch([source], [target[:-1]])
    assert found.tokens == target
    # The weights are stored in float16.
    np.testing.assert_allclose(found.log_probs, expected, rtol=2e-3)
    assert expected.std() > 0.1


def translate(folder: Path, text: str, language: str) -> str:
    inputs = {"TEXT": np.array([text.encode()]), "LANGUAGE": np.array([language.encode()])}
    answer = asyncio.run(Translator(folder).run(inputs, infer=None))  # type: ignore[arg-type]
    return str(answer["TRANSLATION"][0].decode())


@pytest.fixture(scope="module")
def random_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("random")
    translator.make_random(0, folder)
    return folder / "1"


@pytest.mark.parametrize("text", [TEXT, "", "的" * 2000])
def test_random_weights_answer_offline(
    text: str, random_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    answer = translate(random_folder, text, "fr")
    assert "eng_Latn" not in answer
    assert answer == translate(random_folder, text, "fr")


@pytest.mark.parametrize("text", ["", " \n"])
def test_nothing_is_translated_to_nothing(text: str, random_folder: Path) -> None:
    assert translate(random_folder, text, "fr") == ""


def test_what_is_cut_before_it_is_tokenised_changes_no_answer(random_folder: Path) -> None:
    long = "bonjour tout le monde " * CHARACTERS_AT_MOST
    assert translate(random_folder, long, "fr") == translate(
        random_folder, long[:CHARACTERS_AT_MOST], "fr"
    )


def test_every_language_has_a_token(random_folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(random_folder / "nllb" / "tokenizer.json"))
    assert len(set(FLORES.values())) == len(FLORES)
    assert None not in map(tokenizer.token_to_id, FLORES.values())


def test_an_unknown_language_is_an_error_that_names_it(random_folder: Path) -> None:
    with pytest.raises(UnknownLanguageError, match="not trained with language 'tlh'"):
        translate(random_folder, "nuqneH", "tlh")


def test_weights_that_do_not_fit_are_named(files: dict[str, Path], tmp_path: Path) -> None:
    state = torch.load(files["nllb_weights"], weights_only=True)
    del state["model.encoder.layers.0.fc1.bias"]
    torch.save(state, tmp_path / "pytorch_model.bin")
    broken = files | {"nllb_weights": tmp_path / "pytorch_model.bin"}
    with pytest.raises(CheckpointError, match=r"1 keys missing: model\.encoder\.layers\.0\.fc1"):
        translator.make(broken, tmp_path)
