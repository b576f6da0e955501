"""Slot `text_encoder`: tokens -> text feature and sentiment, by RoBERTa."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import CheckpointError
from export.options import Format, Precision
from export.slots.text_encoder import LENGTHS, examples
from export.spec import Builder, Files, Network, Slot, Tensor, seeded
from vemoclap_client.contract import SENTIMENTS

if TYPE_CHECKING:
    from export.networks.sentiment_encoder import SentimentEncoder

FEATURES = 768
VOCABULARY_SIZE = 50265
TOKENIZER = "tokenizer.json"
WEIGHTS, CONFIGURATION = "sentiment_weights", "sentiment_config"
VOCABULARY, MERGES = "sentiment_vocabulary", "sentiment_merges"


def load(files: Files) -> SentimentEncoder:
    """Return cardiffnlp/twitter-roberta-base-sentiment-latest in evaluation mode."""
    from export.networks import sentiment_encoder

    return sentiment_encoder.load(files[WEIGHTS], files[CONFIGURATION])


def restore(path: Path) -> SentimentEncoder:
    """Return the same architecture with the weights of a checkpoint, in evaluation mode.

    Args:
        path: a state dict as transformers writes it. A `config.json` beside it is heeded.

    Raises:
        CheckpointError: it does not fit.
    """
    from export.networks import sentiment_encoder

    configuration = path.with_name("config.json")
    return sentiment_encoder.load(path, configuration if configuration.is_file() else None)


def random() -> SentimentEncoder:
    """Return RoBERTa base as transformers initialises it, in evaluation mode."""
    from export.networks import sentiment_encoder

    return sentiment_encoder.build()


def make(files: Files, folder: Path) -> None:
    """Write the tokenizer of the published vocabulary."""
    from export.networks import sentiment_encoder

    made = sentiment_encoder.read_tokenizer(files[VOCABULARY], files[MERGES])
    made.save(str(folder / TOKENIZER))


def make_random(seed: int, folder: Path) -> None:
    """Write a tokenizer of single bytes."""
    from export.networks import sentiment_encoder

    sentiment_encoder.byte_tokenizer().save(str(folder / TOKENIZER))


def make_restored(checkpoint: Path, folder: Path) -> None:
    """Write the tokenizer of the vocab.json and merges.txt beside the checkpoint.

    Raises:
        CheckpointError: they are not there.
    """
    from export.networks import sentiment_encoder

    companions = checkpoint.with_name("vocab.json"), checkpoint.with_name("merges.txt")
    if missing := [str(path) for path in companions if not path.is_file()]:
        raise CheckpointError(
            f"{checkpoint} comes without its tokenizer: {', '.join(missing)} not found. Put the "
            "files of the checkpoint's own repository beside it."
        )
    sentiment_encoder.read_tokenizer(*companions).save(str(folder / TOKENIZER))


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
        examples=partial(examples, first=4, end=VOCABULARY_SIZE),
        cases=len(LENGTHS),
        formats=(Format.ONNX, Format.TORCHSCRIPT),
        precisions=(Precision.FP32, Precision.FP16, Precision.INT8),
    ),
    pretrained=Builder(
        network=load, write=make, artifacts=(WEIGHTS, CONFIGURATION, VOCABULARY, MERGES)
    ),
    random=Builder(network=seeded(random), write=make_random),
    checkpoint=Builder(
        network=restore,
        write=make_restored,
        companion_files=("config.json", "vocab.json", "merges.txt"),
    ),
)
