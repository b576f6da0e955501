"""Slot translator: a text and its language -> English.

Source: NLLB Team, "No Language Left Behind" (arXiv 2207.04672); VEMOCLAP translates on-screen
text with the distilled model of 600M parameters.
"""

from functools import lru_cache
from pathlib import Path

import ctranslate2
import numpy as np
from tokenizers import Tokenizer

from server import memory
from server.slots.compute import COMPUTE_TYPE
from server.slots.languages import FLORES
from server.slots.slot import CPU, Device, Infer, Tensors
from vemoclap_client.contract import ENGLISH

END = "</s>"
BEAM_SIZE = 4
TOKENS_AT_MOST = 256
"""Of a line of text and of its translation; what is longer is cut."""
TRANSLATIONS_KEPT = 1024
"""A caption stays for several clips or windows of a timeline, and is translated once."""
CHARACTERS_AT_MOST = 16 * TOKENS_AT_MOST
"""No token is longer than 16; tokenising what is cut anyway took 7 s per MB."""


class UnknownLanguageError(ValueError):
    """The translator was not trained with this language."""


class Translator:
    """TEXT string [1], LANGUAGE string [1] (ISO 639-1) -> TRANSLATION string [1], in English."""

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Loads NLLB (CTranslate2) and its tokenizer from `nllb/`."""
        memory.keep_for_next_layer()
        folder = version_directory / "nllb"
        self._translate = lru_cache(TRANSLATIONS_KEPT)(self._translate_anew)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(TOKENS_AT_MOST)
        self._nllb = ctranslate2.Translator(
            str(folder),
            device=device.kind,
            device_index=device.index,
            intra_threads=device.threads,
            compute_type=COMPUTE_TYPE[device.kind],
        )

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Translates one text.

        Raises:
            UnknownLanguageError: there is no such language, or none that it was trained with.
        """
        text, language = inputs["TEXT"][0].decode().strip(), inputs["LANGUAGE"][0].decode()
        return {"TRANSLATION": np.array([self._translate(text, language).encode()], object)}

    def _translate_anew(self, text: str, language: str) -> str:
        source = [flores(language), *self._tokens(text[:CHARACTERS_AT_MOST]), END]
        if not text:  # Of nothing it would invent something.
            return ""
        prefix = [flores(ENGLISH)]
        (translation,) = self._nllb.translate_batch(
            [source],
            target_prefix=[prefix],
            beam_size=BEAM_SIZE,
            max_decoding_length=TOKENS_AT_MOST,
        )
        numbers = [self._tokenizer.token_to_id(token) for token in translation.hypotheses[0][1:]]
        # A padded vocabulary has tokens that no tokenizer knows.
        return str(self._tokenizer.decode([number for number in numbers if number is not None]))

    def _tokens(self, text: str) -> list[str]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).tokens)


def flores(language: str) -> str:
    """The translator's name of a language.

    Raises:
        UnknownLanguageError: it has none.
    """
    if language not in FLORES:
        raise UnknownLanguageError(f"the translator was not trained with language {language!r}")
    return FLORES[language]
