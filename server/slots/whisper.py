"""Whisper that encodes as much as there is to hear, once for transcript and translation."""

from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray

SILENCE_FRAMES = 400
"""4 s of silence after the sound. The decoder needs to be shown that nothing follows: with 1 s it
repeats the last words."""
SHORT_FRAMES = 1000
"""Of longer sound than 10 s, words are lost without all 30 s (docs/performance.md)."""
DYNAMIC_RANGE = 2.0
"""Silence is this far below the loudest value, as in the spectrograms that Whisper was trained on
(8 powers of ten, divided by 4). faster-whisper pads with zeros, which is a faint noise, and after
which the decoder needs all 30 s."""


class Whisper(WhisperModel):  # type: ignore[misc]
    """Encodes short sound with a few seconds of silence, in place of 30 s."""

    _encoded: tuple[NDArray[np.float32], Any] | None = None

    def encode(self, features: NDArray[np.float32]) -> ctranslate2.StorageView:
        """The encoder's output for a log-mel spectrogram float32 [mels, frames].

        Zeros at its end are padding. The output for the same spectrogram is remembered until
        another one is encoded.
        """
        remembered = self._encoded
        if remembered is None or not np.array_equal(remembered[0], features):
            remembered = (features, super().encode(with_short_silence(features)))
            self._encoded = remembered
        return remembered[1]


def with_short_silence(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """A spectrogram [mels, frames], of short sound with 4 s of silence for the zeros at its end."""
    heard = int(np.flatnonzero(features.any(axis=0)).max(initial=-1)) + 1
    if heard > SHORT_FRAMES:
        return features
    frames = min(features.shape[1], heard + heard % 2 + SILENCE_FRAMES)
    shorter = np.full((features.shape[0], frames), features.max() - DYNAMIC_RANGE, np.float32)
    shorter[:, :heard] = features[:, :heard]
    return shorter
