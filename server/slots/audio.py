"""Slot audio_analyzer: sound -> windows -> features and events.

Source: VEMOCLAP's windowing (3 s every 1.5 s, at most 16 equidistant ones).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.slots.slot import CPU, Device, FeatureWidth, Infer, Tensors, analyzer_outputs, timed
from vemoclap_client.contract import FRAME_COUNT, SAMPLE_RATE_HZ

WINDOW_SAMPLES = 3 * SAMPLE_RATE_HZ
HOP_SAMPLES = WINDOW_SAMPLES // 2
EVENTS_SHOWN = 5
EVENT_THRESHOLD = 0.1
"""Events less probable than this are not shown."""
SILENCE = 1e-4
"""Sound that never exceeds this amplitude (-80 dB) is silence."""


class AudioAnalyzer:
    """AUDIO float32 [samples] -> FEATURES [16, width], LENGTH, EVIDENCE.

    The evidence: `absent`, `events`, and `windows_s`, the start and end in seconds of the stretch
    that each row covers.
    """

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Reads the names of the encoder's events, written beside it by export."""
        repository = version_directory.parent.parent
        self._events = (repository / "audio_encoder" / "labels.txt").read_text().splitlines()
        blank = np.zeros((1, WINDOW_SAMPLES), np.float32)
        self._width = FeatureWidth("audio_encoder", {"WINDOW": blank})

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Encodes the windows of one clip's sound; without any, asks nobody."""
        audio = usable(inputs["AUDIO"])
        evidence: dict[str, Any] = {"absent": absence(audio), "events": [], "windows_s": []}
        rows = await self._width.no_rows(infer)
        with timed(evidence):
            if evidence["absent"] is None:
                starts = window_starts(len(audio))
                evidence["windows_s"] = stretches_s(starts)
                batch = {"WINDOW": windows(audio, starts)}
                answer = await infer("audio_encoder", batch, ["FEATURES", "EVENTS"])
                rows = answer["FEATURES"]
                evidence["events"] = self._strongest(answer["EVENTS"].mean(axis=0))
        return analyzer_outputs(rows, FRAME_COUNT, evidence)

    def _strongest(self, probabilities: NDArray[np.float32]) -> list[dict[str, Any]]:
        order = np.argsort(-probabilities)[:EVENTS_SHOWN]
        return [
            {"name": self._events[index], "probability": round(float(probabilities[index]), 4)}
            for index in order
            if probabilities[index] >= EVENT_THRESHOLD
        ]


def usable(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sound within [-1, 1], as the contract promises it; what is not a number is silence."""
    return np.nan_to_num(audio, nan=0.0, posinf=1.0, neginf=-1.0).clip(-1, 1)


def silence(audio: NDArray[np.float32]) -> str | None:
    """Why there is nothing to hear; None if there is."""
    if len(audio) == 0:
        return "the clip has no sound"
    if np.abs(audio).max() < SILENCE:
        return "the sound track is silent"
    return None


def absence(audio: NDArray[np.float32]) -> str | None:
    """Why there is no audio feature; None if there is one."""
    if 0 < len(audio) <= WINDOW_SAMPLES:
        return "the sound is not longer than 3 s"
    return silence(audio)


def window_starts(samples: int) -> NDArray[np.int64]:
    """The first sample of each window of a sound of more than 3 s: 1 to 16 of them.

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


def stretches_s(starts: NDArray[np.int64]) -> list[list[float]]:
    """The start and end of each window, in seconds from the sound's start."""
    return [
        [start / SAMPLE_RATE_HZ, (start + WINDOW_SAMPLES) / SAMPLE_RATE_HZ]
        for start in starts.tolist()
    ]
