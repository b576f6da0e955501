"""On-screen texts -> what they say in English, its features and sentiment.

Source: VEMOCLAP lower-cases, keeps unique texts in order, translates those that are not English,
and joins what is unique then with ". ". Where the profile has no translator, text that is not
English as a whole is shown, but not encoded.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.slots.language import TRANSLATED_AT_ONCE, UNKNOWN, Languages, commonest
from server.slots.languages import FLORES
from server.slots.slot import Infer, OverloadedError
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

        Raises:
            OverloadedError: a slot has too much to do.
        """
        unique = unique_texts(texts)
        if not self._languages.translates:
            unique = [joined(unique)]
        asked = unique[:TEXTS_AT_MOST]
        identified = await self._languages.identify(asked, infer)
        english, absent = await self._to_english(dict(zip(asked, identified, strict=True)), infer)
        text = joined(english.get(text, text) for text in unique) or joined(unique)
        language = commonest(identified)
        encoded = joined(english.values())
        if not encoded:
            rows = await self._text.width.no_rows(infer)
            return EncodedTexts(rows, absent, text, language, None)
        rows, sentiment = await self._text.encode(encoded, infer)
        return EncodedTexts(rows, None, text, language, sentiment)

    async def _to_english(
        self, languages: Mapping[str, str], infer: Infer
    ) -> tuple[dict[str, str], str | None]:
        """Texts in their order -> their English, of those that have one; why others have none.

        What is not English is translated until the text encoder has all that it takes: rolling
        credits hold hundreds of lines.

        Args:
            languages: text -> its language.
            infer: calls the translator.
        """
        foreign = {
            text: language
            for text, language in languages.items()
            if language not in (ENGLISH, UNKNOWN)
        }
        english = {text: text for text in languages if text not in foreign}
        if not foreign:
            return english, None
        named = f"the on-screen text is in language {commonest(list(foreign.values()))!r}, which"
        if not self._languages.translates:
            return english, f"{named} this profile cannot translate"
        reason = f"{named} the translator has no words for"
        texts = [text for text, language in foreign.items() if language in FLORES]
        if not texts:
            reason = f"{named} the translator was not trained with"
        for start in range(0, len(texts), TRANSLATED_AT_ONCE):
            part = texts[start : start + TRANSLATED_AT_ONCE]
            before = takewhile(part[0].__ne__, languages)
            if self._text.is_filled_by(joined(english.get(text, "") for text in before)):
                break
            try:
                english |= await self._languages.translate(
                    {text: foreign[text] for text in part}, infer
                )
            except OverloadedError:
                raise
            except Exception as error:
                reason = f"{named} could not be translated: {error}"
                break
        return {text: english[text] for text in languages if text in english}, reason


def joined(texts: Iterable[str]) -> str:
    """What is unique among the texts, as one text."""
    return ". ".join(text for text in dict.fromkeys(texts) if text)


def unique_texts(texts: Iterable[str]) -> list[str]:
    """The texts, lower-cased, each once, in order."""
    return list(dict.fromkeys(text.lower() for text in texts))
