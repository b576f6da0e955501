"""Slot `speech_recognizer`: Whisper in CTranslate2's format, large-v3 unless told otherwise."""

from __future__ import annotations

from pathlib import Path

from export.errors import UnknownNameError
from export.slots import speech_recognizer
from export.slots.speech_recognizer import FOLDER
from export.spec import Builder, Slot

DEFAULT_SIZE = "large-v3"
"""What VEMOCLAP uses."""


def _files(prefix: str) -> dict[str, str]:
    return {
        f"{FOLDER}/model.bin": f"{prefix}_model",
        f"{FOLDER}/config.json": f"{prefix}_config",
        f"{FOLDER}/tokenizer.json": f"{prefix}_tokenizer",
        f"{FOLDER}/vocabulary.txt": f"{prefix}_vocabulary",
    }


LARGE_V3 = {
    f"{FOLDER}/model.bin": "whisper_large_v3_model",
    f"{FOLDER}/config.json": "whisper_large_v3_config",
    # It says that this size listens to 128 mel bins instead of 80.
    f"{FOLDER}/preprocessor_config.json": "whisper_large_v3_preprocessor",
    f"{FOLDER}/tokenizer.json": "whisper_large_v3_tokenizer",
    f"{FOLDER}/vocabulary.json": "whisper_large_v3_vocabulary",
}
SIZES = {
    "large-v3": LARGE_V3,
    "medium": _files("whisper_medium"),
    "small": _files("whisper_small"),
    "base": speech_recognizer.FILES,
    "tiny": _files("whisper_tiny"),
}
"""Size -> path in the slot's folder -> artifact."""


def make_random(seed: int, folder: Path) -> None:
    """Write a tiny Whisper with random weights and 128 mel bins, whatever the size."""
    from export.networks import whisper_random

    target = folder / FOLDER
    target.mkdir(parents=True, exist_ok=True)
    whisper_random.write(seed, target)


def slot(size: str = DEFAULT_SIZE) -> Slot:
    """Return the slot filled with the Whisper of this size.

    Raises:
        UnknownNameError: there is no such size.
    """
    if size not in SIZES:
        raise UnknownNameError(f"no Whisper of size {size!r}; there are: {', '.join(SIZES)}")
    return Slot(
        name="speech_recognizer",
        module=__name__,
        pretrained=Builder(files=SIZES[size]),
        random=Builder(write=make_random),
    )


SLOT = slot()
