"""Slot `language_identifier`: tokens -> the language of a text."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import CheckpointError
from export.options import Format, Precision
from export.slots.text_encoder import LENGTHS, examples
from export.spec import Builder, Files, Network, Slot, Tensor, seeded

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


def random() -> LanguageClassifier:
    """Return XLM-RoBERTa base as transformers initialises it, in evaluation mode."""
    from export.networks import language_classifier

    return language_classifier.build(LANGUAGES, VOCABULARY_SIZE)


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


SLOT = Slot(
    name="language_identifier",
    module=__name__,
    network=Network(
        inputs=(
            Tensor("INPUT_IDS", "int64", ("length",)),
            Tensor("ATTENTION_MASK", "int64", ("length",)),
        ),
        outputs=(Tensor("PROBABILITIES", "float32", (len(LANGUAGES),)),),
        examples=partial(examples, first=4, end=VOCABULARY_SIZE),
        cases=len(LENGTHS),
        formats=(Format.ONNX, Format.TORCHSCRIPT),
        precisions=(Precision.FP32, Precision.FP16, Precision.INT8),
    ),
    pretrained=Builder(network=load, write=make, artifacts=(WEIGHTS, CONFIGURATION, TOKENIZER)),
    random=Builder(network=seeded(random), write=make_random),
    checkpoint=Builder(
        network=restore, write=make_restored, companion_files=("config.json", TOKENIZER_FILE)
    ),
)
