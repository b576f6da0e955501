"""Slot `speech_recognizer`: Whisper base in CTranslate2's format, for faster-whisper."""

from export.spec import Builder, Slot

FOLDER = "1/whisper"

FILES = {
    f"{FOLDER}/model.bin": "whisper_weights",
    f"{FOLDER}/config.json": "whisper_config",
    f"{FOLDER}/tokenizer.json": "whisper_tokenizer",
    f"{FOLDER}/vocabulary.txt": "whisper_vocabulary",
}

SLOT = Slot(name="speech_recognizer", module=__name__, pretrained=Builder(files=FILES))
