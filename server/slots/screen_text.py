"""On-screen texts -> what they say in English, its features and sentiment.

Source: VEMOCLAP lower-cases, keeps unique texts in order, translates those that are not English,
and joins what is unique then with ". ". Where the profile has no translator, text that is not
English as a whole is shown, but not encoded.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.slots.language import UNKNOWN, Languages, commonest
from server.slots.slot import Infer
from server.slots.text import TextEncoder
from vemoclap_client.contract import ENGLISH

TEXTS_AT_MOST = 256
"""Different texts that are identified and translated: with the stops between them, those of one
token each already fill the text encoder's 512."""


@dataclass(frozen=True)
class EncodedTexts:
    """What texts say.

    Attributes:
        rows: their feature, float32 [1, width]; [0, width] where there is no English.
        absent: why there is none; None where there is.
        text: in English where it could be translated.
        language: ISO 639 code, or "unknown".
        sentiment: sentiment -> probability; None where there is no English.
    """

    rows: NDArray[np.float32]
    absent: str | None
    text: str
    language: str
    sentiment: dict[str, float] | None


class ScreenTextEncoder:
    """Identifies, translates and encodes the texts of a clip's frames, by calling other slots."""

    def __init__(self, repository: Path, encoder: TextEncoder) -> None:
        """Loads the language identifier's tokenizer, if there is one."""
        self._text = encoder
        self._languages = Languages(repository)

    async def encode(self, texts: Sequence[str], infer: Infer) -> EncodedTexts:
        """Encodes texts, at least one, in order of their frames.

        A profile with a translator identifies and translates each unique text by itself: each may
        be in another language. Without one, all of them are one text.
        """
        unique = unique_texts(texts)
        whole = ". ".join(unique)
        unique = unique[:TEXTS_AT_MOST] if self._languages.translates else [whole]
        identified = await self._languages.identify(unique, infer)
        languages = dict(zip(unique, identified, strict=True))
        absent, english = await self._translate(languages, infer)
        text, language = english or whole, commonest(identified)
        if absent is not None:
            rows = await self._text.width.no_rows(infer)
            return EncodedTexts(rows, absent, text, language, None)
        rows, sentiment = await self._text.encode(text, infer)
        return EncodedTexts(rows, None, text, language, sentiment)

    async def _translate(
        self, languages: Mapping[str, str], infer: Infer
    ) -> tuple[str | None, str | None]:
        """Why texts could not be translated, or None; and their English, if any had to be.

        Args:
            languages: text -> its language.
            infer: calls the translator.
        """
        foreign = {
            text: language
            for text, language in languages.items()
            if language not in (ENGLISH, UNKNOWN)
        }
        if not foreign:
            return None, None
        named = f"the on-screen text is in language {commonest(list(foreign.values()))!r}, which"
        if not self._languages.translates:
            return f"{named} this profile cannot translate", None
        try:
            translated = await self._languages.translate(foreign, infer)
        except Exception as error:
            return f"{named} could not be translated: {error}", None
        texts = dict.fromkeys(translated.get(text, text) for text in languages)
        english = ". ".join(text for text in texts if text)
        return (None if english else f"{named} the translator has no words for"), english


def unique_texts(texts: Iterable[str]) -> list[str]:
    """The texts, lower-cased, each once, in order."""
    return list(dict.fromkeys(text.lower() for text in texts))
