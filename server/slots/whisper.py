"""Whisper that encodes a passage once for its transcript and its translation."""

from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray


class Whisper(WhisperModel):  # type: ignore[misc]
    """Remembers the encoder's last output."""

    _encoded: tuple[NDArray[np.float32], Any] | None = None

    def encode(self, features: NDArray[np.float32]) -> ctranslate2.StorageView:
        """The encoder's output for a log-mel spectrogram float32 [mels, frames].

        It is remembered until another spectrogram is encoded.
        """
        remembered = self._encoded
        if remembered is None or not np.array_equal(remembered[0], features):
            remembered = (features, super().encode(features))
            self._encoded = remembered
        return remembered[1]
