"""Puts decoded sound at its time and brings it to 16 kHz."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from vemoclap_client.contract import SAMPLE_RATE_HZ
from vemoclap_client.media._packet_scan import BROADCAST_STEP_FORWARD_S

JITTER_S = 0.05
"""Times of sound packets are rounded and may be off by this much without a gap being meant."""

GAP_MAX_S = 60
"""A longer gap that leads beyond the pictures is a fault in the file's clock: it is closed. One
between pictures stays, however long: somebody was muted."""


class Aligner:
    """Puts every sample where its time says, counted from the clip's start.

    Attributes:
        missing_s: how much silence was put between samples, seconds.
    """

    def __init__(self, start_s: Fraction | None, end_s: Fraction | None) -> None:
        # Where the pictures' times cannot be used, their jumps are closed from here on, too.
        self._gap_max_s = BROADCAST_STEP_FORWARD_S if start_s is None else GAP_MAX_S
        self._next_s = start_s
        self._end_s = end_s
        self._begun = False
        self.missing_s = 0.0

    def align(
        self, samples: NDArray[np.float32], rate_hz: int, time_s: Fraction | None
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the samples, preceded by silence or with their beginning cut off.

        Args:
            time_s: that of the first sample on the file's own clock; None: where the previous
                samples ended.
        """
        gap = self._gap(rate_hz, time_s)
        samples = samples[max(0, -gap) :]
        if not samples.size:
            return
        if self._begun:
            self.missing_s += max(0, gap) / rate_hz
        self._begun = True
        self._next_s = (self._next_s or 0) + Fraction(max(0, gap) + samples.size, rate_hz)
        while gap > 0:
            yield np.zeros(min(gap, rate_hz), np.float32)
            gap -= rate_hz
        yield samples

    def _gap(self, rate_hz: int, time_s: Fraction | None) -> int:
        """Samples of silence missing before the next ones; negative: samples too many."""
        if self._next_s is None:
            self._next_s = time_s
        if time_s is None or self._next_s is None:
            return 0
        gap_s = time_s - self._next_s
        is_within_pictures = self._end_s is not None and time_s <= self._end_s
        is_gap = gap_s > JITTER_S and (gap_s < self._gap_max_s or is_within_pictures)
        return 0 if self._begun and not is_gap else round(gap_s * rate_hz)


class Resampler:
    """Brings mono sound of one rate to 16 kHz."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)

    def resample(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take in float32 [samples]; give back what is ready, which lags behind a little."""
        frame = AudioFrame.from_ndarray(samples[np.newaxis], format="flt", layout="mono")
        frame.sample_rate = self.rate_hz
        return _joined(self._resampler.resample(frame))

    def finish(self) -> NDArray[np.float32]:
        """What was still to come."""
        return _joined(self._resampler.resample(None))


def _joined(frames: list[AudioFrame]) -> NDArray[np.float32]:
    pieces = [np.asarray(frame.to_ndarray()[0], np.float32) for frame in frames]
    return np.concatenate([np.zeros(0, np.float32), *pieces])
