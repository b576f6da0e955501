"""Slot `language_identifier`: tokens -> the language of a text."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from export.errors import CheckpointError
from export.options import Format, Precision
from export.spec import Arrays, Builder, Files, Network, Slot, Tensor, generator, seeded

if TYPE_CHECKING:
    from export.networks.language_classifier import LanguageClassifier

# fmt: off
LANGUAGES = (
    "ar", "bg", "de", "el", "en", "es", "fr", "hi", "it", "ja",
    "nl", "pl", "pt", "ru", "sw", "th", "tr", "ur", "vi", "zh",
)
# fmt: on
"""Codes (ISO 639-1) of those that the published model tells apart; its own order is in labels.txt.

Source: the model card of papluca/xlm-roberta-base-language-detection.
"""

LENGTHS = (32, 77)
"""Tokens of the example inputs, by case. The longest the network was made for is 512."""

VOCABULARY_SIZE = 250_002
TOKENIZER_FILE, LABELS_FILE = "tokenizer.json", "labels.txt"
WEIGHTS, CONFIGURATION, TOKENIZER = "language_weights", "language_config", "language_tokenizer"


def load(files: Files) -> LanguageClassifier:
    """Return papluca/xlm-roberta-base-language-detection in evaluation mode."""
    from export.networks import language_classifier

    return language_classifier.load(files[WEIGHTS], files[CONFIGURATION])


def restore(path: Path) -> LanguageClassifier:
    """Return the same architecture with the weights of a checkpoint, in evaluation mode.

    Args:
        path: a state dict as transformers writes it, with its `config.json` beside it.

    Raises:
        CheckpointError: it does not fit, or comes without its configuration.
    """
    from export.networks import language_classifier

    return language_classifier.load(path, _companion(path, "config.json"))


def random(vocabulary: int = VOCABULARY_SIZE) -> LanguageClassifier:
    """Return XLM-RoBERTa base as transformers initialises it, in evaluation mode."""
    from export.networks import language_classifier

    return language_classifier.build(LANGUAGES, vocabulary)


def make(files: Files, folder: Path) -> None:
    """Write the published tokenizer, and the languages in the model's order."""
    _write_from(files[TOKENIZER], files[CONFIGURATION], folder)


def make_restored(checkpoint: Path, folder: Path) -> None:
    """Write the same from the files beside the checkpoint.

    Raises:
        CheckpointError: they are not there.
    """
    _write_from(
        _companion(checkpoint, TOKENIZER_FILE), _companion(checkpoint, "config.json"), folder
    )


def make_random(seed: int, folder: Path) -> None:
    """Write a tokenizer of single bytes, and the languages of the published model."""
    from export.networks import sentiment_encoder

    sentiment_encoder.byte_tokenizer().save(str(folder / TOKENIZER_FILE))
    _write_labels(LANGUAGES, folder)


def _write_from(tokenizer: Path, configuration: Path, folder: Path) -> None:
    from export.networks import language_classifier

    shutil.copyfile(tokenizer, folder / TOKENIZER_FILE)
    _write_labels(language_classifier.read_labels(configuration), folder)


def _write_labels(labels: Iterable[str], folder: Path) -> None:
    (folder / LABELS_FILE).write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")


def _companion(checkpoint: Path, name: str) -> Path:
    path = checkpoint.with_name(name)
    if not path.is_file():
        raise CheckpointError(
            f"{path} is missing: {checkpoint} needs it. Put the files of the checkpoint's own "
            "repository beside it."
        )
    return path


def examples(batch: int, case: int, vocabulary: int = VOCABULARY_SIZE) -> Arrays:
    """Return random tokens, padded with 0 from a random length on: int64 [batch, 32 or 77]."""
    random_source = generator(batch, case)
    length = LENGTHS[case]
    used = random_source.integers(3, length + 1, (batch, 1))
    mask = (np.arange(length) < used).astype(np.int64)
    tokens = random_source.integers(4, vocabulary, (batch, length))
    return {"INPUT_IDS": tokens * mask, "ATTENTION_MASK": mask}


def network(vocabulary: int = VOCABULARY_SIZE) -> Network:
    """Return the declaration, on request with fewer tokens in its random form: for tests."""
    return Network(
        inputs=(
            Tensor("INPUT_IDS", "int64", ("length",)),
            Tensor("ATTENTION_MASK", "int64", ("length",)),
        ),
        outputs=(Tensor("PROBABILITIES", "float32", (len(LANGUAGES),)),),
        examples=partial(examples, vocabulary=vocabulary),
        cases=len(LENGTHS),
        formats=(Format.ONNX, Format.TORCHSCRIPT),
        precisions=(Precision.FP32, Precision.FP16, Precision.INT8),
    )


SLOT = Slot(
    name="language_identifier",
    module=__name__,
    network=network(),
    pretrained=Builder(network=load, write=make, artifacts=(WEIGHTS, CONFIGURATION, TOKENIZER)),
    random=Builder(network=seeded(random), write=make_random),
    checkpoint=Builder(
        network=restore, write=make_restored, companion_files=("config.json", TOKENIZER_FILE)
    ),
)
