"""Whisper that encodes a passage once for its transcript and its translation."""

from collections.abc import Callable
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray

Encoder = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Log-mel spectrogram float32 [mels, frames] -> its encoding float32 [frames / 2, width]."""


class Whisper(WhisperModel):  # type: ignore[misc]
    """Remembers the encoder's last output.

    Attributes:
        encoder: encodes in place of CTranslate2; None where CTranslate2 does it.
    """

    encoder: Encoder | None = None
    _encoded: tuple[NDArray[np.float32], Any] | None = None

    def encode(self, features: NDArray[np.float32]) -> ctranslate2.StorageView:
        """The encoder's output for a log-mel spectrogram float32 [mels, frames].

        It is remembered until another spectrogram is encoded.
        """
        remembered = self._encoded
        if remembered is None or not np.array_equal(remembered[0], features):
            remembered = (features, self._encode(features))
            self._encoded = remembered
        return remembered[1]

    def _encode(self, features: NDArray[np.float32]) -> ctranslate2.StorageView:
        if self.encoder is None:
            return super().encode(features)
        # A copy: this is kept, and the answer's memory is shared with the slot that gave it.
        encoded = np.array(self.encoder(features)[None], np.float32)
        return ctranslate2.StorageView.from_array(encoded)
