"""Mixes the channels of a sound into one, as a listener hears them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CANCELLED_ENERGY = 0.02
"""Share of the channels' mean energy below which their mean has cancelled out. For independent
channels it is 1 / channels, for stereo in opposite phase 0."""

LOW_FREQUENCY = "LFE"
"""FFmpeg's name of the channel for low-frequency effects."""

LOUD_EFFECTS = 4.0
"""Effects with so many times the energy of the loudest other channel cover what is said there.
ITU-R BS.775-4 leaves the channel out of every downmix; VEMOCLAP's mean over all has it in."""


class ChannelMixer:
    """Mixes the pieces of one sound, in order.

    The mean over the channels, as VEMOCLAP; without the low-frequency effects where they were loud
    so far; and where the mean has cancelled out so far, as in stereo with one side inverted, the
    loudest channel alone.
    """

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._energies = np.zeros(0)
        self._mean_energy = 0.0

    def mix(self, values: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
        """Mixes one piece.

        Args:
            values: [channels, samples], full scale 1.
            names: FFmpeg's names of the channels, such as "FL", "LFE".

        Returns:
            float64 [samples].
        """
        if tuple(names) != self._names:
            self._names = tuple(names)
            self._energies = np.zeros(len(values))
            self._mean_energy = 0.0
        self._energies += np.square(values).sum(axis=1)
        heard = self._heard()
        mean = np.asarray(values[heard].mean(axis=0))
        self._mean_energy += float(np.square(mean).sum())
        if self._mean_energy < CANCELLED_ENERGY * self._energies[heard].mean():
            return np.asarray(values[heard[self._energies[heard].argmax()]])
        return mean

    def _heard(self) -> NDArray[np.intp]:
        """The indices of the channels without loud effects."""
        effects = np.array([name == LOW_FREQUENCY for name in self._names])
        energies = self._energies
        is_loud = energies[effects].sum() > LOUD_EFFECTS * energies[~effects].max(initial=0)
        return np.flatnonzero(~effects if is_loud and not effects.all() else effects | True)
