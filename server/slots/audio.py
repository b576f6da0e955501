"""Slot audio_analyzer: sound -> audio windows -> features and events."""

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
from vemoclap_client.audio_windows import WINDOW_SAMPLES, absence, cut, window_starts
from vemoclap_client.contract import FRAME_COUNT, SAMPLE_RATE_HZ

EVENTS_SHOWN = 5
EVENT_THRESHOLD = 0.1
"""Events less probable than this are not shown."""


class AudioAnalyzer:
    """AUDIO float32 [samples] -> FEATURES [16, width], LENGTH, EVIDENCE (AudioEvidence)."""

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Reads the names of the encoder's events."""
        self._events = EventNames(version_directory.parent.parent)
        self._width = audio_width()

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Encodes the windows of one clip's sound, if it has any."""
        rows = await self._width.no_rows(infer)
        started = time.perf_counter()
        audio = usable(inputs["AUDIO"])
        if absent := absence(audio):
            evidence = AudioEvidence(absent=absent, duration_ms=elapsed_ms(started))
            return analyzer_outputs(rows, FRAME_COUNT, evidence)
        starts = window_starts(len(audio))
        batch = {"WINDOW": cut(audio, starts)}
        encoded = await infer("audio_encoder", batch, ["FEATURES", "EVENTS"])
        evidence = AudioEvidence(
            events=self._events.strongest(encoded["EVENTS"].mean(axis=0)),
            windows_s=window_times_s(starts),
            duration_ms=elapsed_ms(started),
        )
        return analyzer_outputs(encoded["FEATURES"], FRAME_COUNT, evidence)


def audio_width() -> FeatureWidth:
    """The width of the audio features."""
    blank = np.zeros((1, WINDOW_SAMPLES), np.float32)
    return FeatureWidth("audio_encoder", {"WINDOW": blank})


class EventNames:
    """The names of audio_encoder's events."""

    def __init__(self, repository: Path) -> None:
        """Reads them from the encoder's folder."""
        self._names = (repository / "audio_encoder" / "labels.txt").read_text().splitlines()

    def strongest(self, probabilities: NDArray[np.float32]) -> tuple[AudioEvent, ...]:
        """The most probable events, at most 5, of probabilities float32 [events]."""
        order = np.argsort(-probabilities)[:EVENTS_SHOWN]
        return tuple(
            AudioEvent(self._names[index], round(float(probabilities[index]), 4))
            for index in order
            if probabilities[index] >= EVENT_THRESHOLD
        )


def usable(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sound within [-1, 1], as the contract has it; a value that is no number becomes 0."""
    return np.nan_to_num(audio, nan=0.0, posinf=1.0, neginf=-1.0).clip(-1, 1)


def window_times_s(starts: NDArray[np.int64]) -> tuple[tuple[float, float], ...]:
    """The start and end of each window, in seconds from the sound's start."""
    return tuple(
        (start / SAMPLE_RATE_HZ, (start + WINDOW_SAMPLES) / SAMPLE_RATE_HZ)
        for start in starts.tolist()
    )
