"""Features of texts: the tokens are made here, slot text_encoder encodes them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from server.slots.slot import FeatureWidth, Infer, Tensors
from vemoclap_client.contract import SENTIMENTS

TOKEN_LENGTHS = (32, 64, 128, 256, 512)
"""Texts are padded to one of these, so that those of different clips share a batch."""


class PaddedTokens:
    """Turns texts into a transformer's INPUT_IDS and ATTENTION_MASK, int64 [n, length].

    Tokens after the 512th are cut.
    """

    def __init__(self, tokenizer: Path) -> None:
        """Loads a tokenizer.json."""
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(TOKEN_LENGTHS[-1])
        self._tokenizer.no_padding()

    def __call__(self, texts: Sequence[str]) -> Tensors:
        """At least one text; all are padded to the same length, one of TOKEN_LENGTHS."""
        encodings = self._tokenizer.encode_batch(list(texts))
        longest = max(len(encoding.ids) for encoding in encodings)
        length = next(length for length in TOKEN_LENGTHS if length >= longest)
        ids, mask = np.zeros((2, len(texts), length), np.int64)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = encoding.attention_mask
        return {"INPUT_IDS": ids, "ATTENTION_MASK": mask}


class TextEncoder:
    """Turns a text into its feature and sentiment by slot text_encoder."""

    def __init__(self, repository: Path) -> None:
        """Loads the tokenizer in the folder of slot text_encoder."""
        self._tokens = PaddedTokens(repository / "text_encoder" / "tokenizer.json")
        self.width = FeatureWidth("text_encoder", self._tokens([""]))

    def is_filled_by(self, text: str) -> bool:
        """Whether what follows the text would be cut."""
        return int(self._tokens([text])["ATTENTION_MASK"].sum()) == TOKEN_LENGTHS[-1]

    async def encode(self, text: str, infer: Infer) -> tuple[NDArray[np.float32], dict[str, float]]:
        """Feature, float32 [1, width], and the probabilities of the three sentiments."""
        outputs = await infer("text_encoder", self._tokens([text]), ["FEATURES", "SENTIMENT"])
        probabilities = [round(float(value), 4) for value in outputs["SENTIMENT"][0]]
        return outputs["FEATURES"], dict(zip(SENTIMENTS, probabilities, strict=True))
