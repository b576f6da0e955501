"""The paper profile's tokenizers against transformers' own."""

from pathlib import Path

import pytest
from tokenizers import AddedToken, ByteLevelBPETokenizer, Tokenizer
from transformers import RobertaTokenizer

from export.errors import CheckpointError
from export.networks import sentiment_encoder
from export.slots.paper import language_identifier, text_encoder

pytestmark = pytest.mark.parity

TEXTS = (
    "",
    " ",
    "Hello world",
    "  two  spaces\tand\na newline ",
    "Crème brûlée à volonté, naïve façade",
    "😀 so happy 👩‍👩‍👧 !!!",
    "日本語のテキスト و العربية",
    "@user http don't we'll it's",
    "literally <mask> and </s> and <s>",
    "e\u0301 combining, \u00a0 no-break, \u200b zero width",
)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """vocab.json and merges.txt of a tokenizer that merges, with RoBERTa's special tokens."""
    folder = tmp_path_factory.mktemp("vocabulary")
    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    text = ["hello world, two spaces and a newline; happy, literally happy", *TEXTS]
    trained.train_from_iterator(
        text, vocab_size=320, min_frequency=1, show_progress=False, special_tokens=special
    )
    trained.save_model(str(folder))
    return folder


@pytest.mark.parametrize("text", TEXTS)
def test_the_tokenizer_is_that_of_transformers(text: str, vocabulary: Path) -> None:
    # As transformers 4 made it and the published special_tokens_map.json has it: version 5 would
    # take a bare <mask> for one that does not swallow the space before it.
    mask = AddedToken("<mask>", lstrip=True, normalized=False, special=True)
    theirs = RobertaTokenizer.from_pretrained(str(vocabulary), mask_token=mask)
    ours = sentiment_encoder.read_tokenizer(vocabulary / "vocab.json", vocabulary / "merges.txt")
    assert ours.encode(text).ids == theirs(text)["input_ids"]


def test_the_tokenizers_of_random_weights_know_every_text(tmp_path: Path) -> None:
    for slot in (text_encoder, language_identifier):
        slot.make_random(0, tmp_path)
        tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
        for text in TEXTS[:8]:
            ids = tokenizer.encode(text).ids
            assert (ids[0], ids[-1], len(ids)) == (0, 2, len(text.encode()) + 2)
            assert tokenizer.decode(ids) == text
    assert (tmp_path / "labels.txt").read_text().split() == list(language_identifier.LANGUAGES)


def test_a_text_checkpoint_without_its_tokenizer_says_what_to_bring(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"vocab\.json, .*merges\.txt: not found"):
        text_encoder.make_restored(tmp_path / "pytorch_model.bin", tmp_path)
