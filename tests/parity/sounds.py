"""Sounds for the parity tests."""

import wave
from functools import cache

import numpy as np
import numpy.typing as npt

from export.weights import fetch
from vemoclap_client.contract import SAMPLE_RATE_HZ


@cache
def speech() -> npt.NDArray[np.float32]:
    """Return the sample speech at about 16 kHz: every third sample of 48 kHz, averaged."""
    with wave.open(str(fetch("sample_speech"))) as file:
        step, channels = file.getframerate() // SAMPLE_RATE_HZ, file.getnchannels()
        content = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    sound = content.reshape(-1, channels).mean(axis=1) / 2**15
    whole = sound[: len(sound) // step * step].reshape(-1, step)
    return np.asarray(whole.mean(axis=1), np.float32)
