"""Where a sound's audio windows lie, each of which is one row of the audio features.

The server's audio_analyzer and the client's timeline share it. It imports numpy alone.

Source: VEMOCLAP's windowing (3 s every 1.5 s, at most 16 equidistant ones).
"""

import numpy as np
from numpy.typing import NDArray

from vemoclap_client.contract import FRAME_COUNT, SAMPLE_RATE_HZ

WINDOW_SAMPLES = 3 * SAMPLE_RATE_HZ
HOP_SAMPLES = WINDOW_SAMPLES // 2
SILENCE = 1e-4
"""Sound that never exceeds this amplitude (-80 dB) is silence."""


def silence(audio: NDArray[np.float32]) -> str | None:
    """Why sound, float32 [samples], cannot be heard; None if it can."""
    if len(audio) == 0:
        return "the clip has no sound"
    if np.abs(audio).max() < SILENCE:
        return "the sound track is silent"
    return None


def absence(audio: NDArray[np.float32]) -> str | None:
    """Why sound, float32 [samples], has no features; None if it has."""
    if 0 < len(audio) <= WINDOW_SAMPLES:
        return "the sound is not longer than 3 s"
    return silence(audio)


def window_starts(samples: int) -> NDArray[np.int64]:
    """The first sample of each audio window of more than 3 s of sound: int64 [1 to 16].

    Windows start every 1.5 s while `start < samples - 48000`; of more than 16, those at
    round(linspace(0, n - 1, 16)) are kept.
    """
    starts = np.arange(0, samples - WINDOW_SAMPLES, HOP_SAMPLES)
    if len(starts) > FRAME_COUNT:
        starts = starts[np.round(np.linspace(0, len(starts) - 1, FRAME_COUNT)).astype(int)]
    return starts


def cut(audio: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    """The windows of 3 s that begin at these samples: float32 [samples] -> [n, 48000]."""
    return np.stack([audio[start : start + WINDOW_SAMPLES] for start in starts])
