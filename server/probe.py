"""Asks a running server for an inference whenever it has answered nobody for a while."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc.model_config_pb2 import ModelConfig

from server.control import ModelControl
from vemoclap_client.contract import AUDIO, ENTRY, FRAME_COUNT, FRAMES, SAMPLE_RATE_HZ
from vemoclap_client.errors import (
    InferenceError,
    RequestRejectedError,
    ServerError,
    ServerNotReadyError,
)

INTERVAL_S = 10.0
"""A server that has answered nobody for so long is probed."""
LOOK_INTERVAL_S = 1.0
PAUSE = 5
"""Where a probe takes long, the next one comes later: after so many times that long, ..."""
LONGEST_PAUSE_S = 60.0
"""... or after this."""
SIDE_PX = 64
SOUND_S = 4
"""Longer than an audio window, so that the encoder of sound works too."""
FAILED = (InferenceError, RequestRejectedError, ServerNotReadyError)
"""What says that the server does not work. Busy, lost and late say nothing."""


def probe_clip() -> dict[str, NDArray[Any]]:
    """A clip for every step of the ensemble: 16 equal frames of noise, and noise as its sound.

    Frames that are equal are searched for faces and text once.
    """
    random = np.random.default_rng(0)
    frame = random.integers(0, 256, (1, 1, SIDE_PX, SIDE_PX, 3), np.uint8)
    sound = random.normal(0, 0.01, (1, SOUND_S * SAMPLE_RATE_HZ)).astype(np.float32)
    return {FRAMES: np.repeat(frame, FRAME_COUNT, axis=1), AUDIO: sound}


class Probe:
    """Follows whether requests are answered, and sends one of its own when none are.

    Attributes:
        answers: how often it was seen that a request had been answered, the probe's or another's.
        is_unanswered: whether a probe was sent since then, and has not failed: it is under way, or
            its error says nothing.
        failures: how many probes have failed since then.
        error: with which the last probe since then ended; empty: none has.
    """

    def __init__(
        self,
        control: ModelControl,
        configs: Mapping[str, ModelConfig],
        interval_s: float | None,
    ) -> None:
        """Sends nothing yet.

        Args:
            control: a connection to the server.
            configs: slot -> configuration; without the entry to the ensemble, Triton itself is
                asked.
            interval_s: time without answers after which the server is probed; None: never, and it
                counts as answering.
        """
        self.answers = 1 if interval_s is None else 0
        self.is_unanswered = False
        self.failures = 0
        self.error = ""
        self._control = control
        self._model = ENTRY if ENTRY in configs else None
        self._counted = [name for name, config in configs.items() if config.platform == "ensemble"]
        self._successes = 0
        self._interval_s = interval_s or 0.0
        self._is_on = interval_s is not None
        self._next_s = 0.0
        self._sent_s: float | None = None
        self._ended = Event()

    @contextmanager
    def running(self) -> Iterator["Probe"]:
        """Probes for as long as the context lasts, at once for the first time."""
        if self._is_on:
            Thread(target=self._run, daemon=True).start()
        try:
            yield self
        finally:
            self._ended.set()

    def begin_again(self) -> None:
        """Forgets what failed while something was restarted, and lets a probe be sent at once."""
        self.failures = 0
        self.error = ""
        self.is_unanswered = self._sent_s is not None
        self._next_s = 0.0
        if not self._is_on:
            self.answers += 1

    def _run(self) -> None:
        with suppress(ValueError):  # The connection was closed.
            while not self._ended.is_set():
                self._count()
                if self._sent_s is None and time.monotonic() >= self._next_s:
                    self._send()
                self._ended.wait(LOOK_INTERVAL_S)

    def _count(self) -> None:
        """Looks whether requests to ensembles have succeeded since the last time."""
        before, after = self._successes, self._control.successes(self._counted)
        if after is not None:
            # Less than before: an ensemble was loaded anew and counts from zero.
            self._successes = after
            if after > before:
                self._answered()

    def _answered(self) -> None:
        self.answers += 1
        self.is_unanswered = False
        self.failures = 0
        self.error = ""
        self._next_s = max(self._next_s, time.monotonic() + self._interval_s)

    def _send(self) -> None:
        self.is_unanswered = True
        if self._model is None:
            if self._control.is_live():
                self._answered()
            return
        self._sent_s = time.monotonic()
        self._control.infer(self._model, probe_clip(), self._finish)

    def _finish(self, error: ServerError | None) -> None:
        """Takes the end of a probe, in a thread of gRPC's."""
        now_s = time.monotonic()
        took_s = now_s - (self._sent_s or now_s)
        self._next_s = now_s + max(self._interval_s, min(PAUSE * took_s, LONGEST_PAUSE_S))
        if error is None:
            self._answered()
        elif isinstance(error, FAILED):
            self.failures += 1
            self.error = str(error)
            self.is_unanswered = False
        elif self.is_unanswered:
            self.error = str(error)
            # At once: a server that has room by now must not be taken for one that is stuck.
            self._next_s = now_s
        self._sent_s = None
