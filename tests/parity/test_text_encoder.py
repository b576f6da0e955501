"""What the text encoder's features and sentiments are worth."""

import tomllib
from pathlib import Path

import pytest
import torch

from export.slots import text_encoder
from export.weights import fetch_all
from vemoclap_client.contract import SENTIMENTS

SENTENCES = Path(__file__).with_name("sentiment_sentences.toml")
RIGHT_AT_LEAST = 27
"""Of 30: what it got right at the first try."""

pytestmark = pytest.mark.parity


def test_sentiments_of_sentences_never_seen() -> None:
    groups = tomllib.loads(SENTENCES.read_text(encoding="utf-8"))
    files = fetch_all(text_encoder.ARTIFACTS)
    features = text_encoder.embed(files, [s for name in SENTIMENTS for s in groups[name]])
    wanted = [label for label, name in enumerate(SENTIMENTS) for _ in groups[name]]
    found = (features @ text_encoder.prototypes(files).T).argmax(1)
    right = int((found == torch.tensor(wanted)).sum())
    assert len(wanted) == 30
    assert right >= RIGHT_AT_LEAST


def test_padding_changes_nothing() -> None:
    files = fetch_all(text_encoder.ARTIFACTS)
    short, long = "Hello.", "A much longer sentence, so that the first one has to be padded."
    alone = text_encoder.embed(files, [short])[0]
    torch.testing.assert_close(text_encoder.embed(files, [short, long])[0], alone)


def test_a_paraphrase_is_nearer_than_another_subject() -> None:
    files = fetch_all(text_encoder.ARTIFACTS)
    sentences = ["A dog runs on the beach.", "On the shore, a puppy is running.", "Taxes rise."]
    features = text_encoder.embed(files, sentences)
    closeness = features @ features.T
    assert closeness[0, 1] > 0.6 > 0.3 > closeness[0, 2]
