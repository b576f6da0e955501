"""Slot audio_analyzer: sound -> audio windows -> features and events.

Source: VEMOCLAP's windowing (3 s every 1.5 s, at most 16 equidistant ones).
"""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.slots.slot import (
    CPU,
    Device,
    FeatureWidth,
    Infer,
    Tensors,
    analyzer_outputs,
    elapsed_ms,
)
from vemoclap_client.analysis import AudioEvent, AudioEvidence
from vemoclap_client.contract import FRAME_COUNT, SAMPLE_RATE_HZ

WINDOW_SAMPLES = 3 * SAMPLE_RATE_HZ
HOP_SAMPLES = WINDOW_SAMPLES // 2
EVENTS_SHOWN = 5
EVENT_THRESHOLD = 0.1
"""Events less probable than this are not shown."""
SILENCE = 1e-4
"""Sound that never exceeds this amplitude (-80 dB) is silence."""


class AudioAnalyzer:
    """AUDIO float32 [samples] -> FEATURES [16, width], LENGTH, EVIDENCE (AudioEvidence)."""

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Reads the names of the encoder's events from the encoder's folder."""
        repository = version_directory.parent.parent
        self._events = (repository / "audio_encoder" / "labels.txt").read_text().splitlines()
        blank = np.zeros((1, WINDOW_SAMPLES), np.float32)
        self._width = FeatureWidth("audio_encoder", {"WINDOW": blank})

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Encodes the windows of one clip's sound, if it has any."""
        rows = await self._width.no_rows(infer)
        started = time.perf_counter()
        audio = usable(inputs["AUDIO"])
        if absent := absence(audio):
            evidence = AudioEvidence(absent=absent, duration_ms=elapsed_ms(started))
            return analyzer_outputs(rows, FRAME_COUNT, evidence)
        starts = window_starts(len(audio))
        batch = {"WINDOW": windows(audio, starts)}
        encoded = await infer("audio_encoder", batch, ["FEATURES", "EVENTS"])
        evidence = AudioEvidence(
            events=self._strongest(encoded["EVENTS"].mean(axis=0)),
            windows_s=window_times_s(starts),
            duration_ms=elapsed_ms(started),
        )
        return analyzer_outputs(encoded["FEATURES"], FRAME_COUNT, evidence)

    def _strongest(self, probabilities: NDArray[np.float32]) -> tuple[AudioEvent, ...]:
        """The most probable events, at most 5, of probabilities float32 [events]."""
        order = np.argsort(-probabilities)[:EVENTS_SHOWN]
        return tuple(
            AudioEvent(self._events[index], round(float(probabilities[index]), 4))
            for index in order
            if probabilities[index] >= EVENT_THRESHOLD
        )


def usable(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sound within [-1, 1], as the contract has it; a value that is no number becomes 0."""
    return np.nan_to_num(audio, nan=0.0, posinf=1.0, neginf=-1.0).clip(-1, 1)


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


def windows(audio: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    """The windows of 3 s that begin at these samples: float32 [samples] -> [n, 48000]."""
    return np.stack([audio[start : start + WINDOW_SAMPLES] for start in starts])


def window_times_s(starts: NDArray[np.int64]) -> tuple[tuple[float, float], ...]:
    """The start and end of each window, in seconds from the sound's start."""
    return tuple(
        (start / SAMPLE_RATE_HZ, (start + WINDOW_SAMPLES) / SAMPLE_RATE_HZ)
        for start in starts.tolist()
    )
