"""Slot `translator`: NLLB-200 distilled 600M in CTranslate2's format."""

from __future__ import annotations

from pathlib import Path

from export.spec import Builder, Files, Slot

FOLDER = "1/nllb"


def make(files: Files, folder: Path) -> None:
    """Convert the weights.

    Raises:
        CheckpointError: they do not fit the configuration.
    """
    from tokenizers import Tokenizer

    from export.networks import translation

    network = translation.load(files["nllb_config"], files["nllb_weights"])
    tokenizer = Tokenizer.from_file(str(files["nllb_tokenizer"]))
    translation.write(network, tokenizer, _made(folder / FOLDER))


def make_random(seed: int, folder: Path) -> None:
    """Write a tiny NLLB with random weights."""
    from export.networks import translation

    translation.write(*translation.random(seed), _made(folder / FOLDER))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


SLOT = Slot(
    name="translator",
    module=__name__,
    pretrained=Builder(write=make, artifacts=("nllb_weights", "nllb_config", "nllb_tokenizer")),
    random=Builder(write=make_random),
)
