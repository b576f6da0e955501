"""Breaks a running server's processes under load, and observes what becomes of the requests."""

import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import tritonclient.grpc as triton

from server.probe import probe_clip
from tests.launching import Launched, wait_until
from vemoclap_client.channels import channel_options
from vemoclap_client.contract import ENTRY, PROBABILITIES
from vemoclap_client.errors import VemoclapError
from vemoclap_client.media.decoder import decode_timed
from vemoclap_client.requests import build_inference, build_request
from vemoclap_client.server_errors import server_errors

TRITON = "triton"
REQUEST_TIMEOUT_S = 180.0
"""Nothing here may take so long."""

RECOVERY_TIMEOUT_S = 300.0
"""A server starts in seconds, but not on a machine that does much else."""


def small_request() -> dict[str, Any]:
    """A request that every step of the ensemble computes quickly."""
    return build_inference(ENTRY, probe_clip(), (PROBABILITIES,))


def clip_request(video: Path) -> dict[str, Any]:
    """A request with a video's frames and sound."""
    return build_request(decode_timed(video).clip)


@dataclass(frozen=True)
class Outcome:
    """A request that has ended: when it was sent and ended (time.monotonic), and its error."""

    sent_s: float
    ended_s: float
    error: VemoclapError | None


@dataclass
class Load:
    """Threads that each send one request after the other, also after errors."""

    server: Launched
    requests: Sequence[dict[str, Any]]
    outcomes: list[Outcome] = field(default_factory=list)
    unexpected: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(request,), daemon=True)
            for request in self.requests
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(REQUEST_TIMEOUT_S + 10)
        if error is None:
            assert self.unexpected == []
            assert not any(thread.is_alive() for thread in self._threads), "a request hangs"
            timed_out = [o for o in self.outcomes if o.ended_s - o.sent_s >= REQUEST_TIMEOUT_S]
            assert timed_out == []

    def answered_since(self, moment_s: float) -> float | None:
        """When the first answer came to a request that was sent after `moment_s`."""
        ended = [o.ended_s for o in self.outcomes if o.error is None and o.sent_s > moment_s]
        return min(ended, default=None)

    def recovery_s(self, since_s: float) -> float:
        """Waits for that; returns how long after `since_s` it came."""
        wait_until(lambda: self.answered_since(since_s) is not None, RECOVERY_TIMEOUT_S)
        return (self.answered_since(since_s) or 0.0) - since_s

    def errors(self, since_s: float) -> Counter[str]:
        """Types of error of the requests that have ended since then."""
        return Counter(
            type(o.error).__name__ for o in self.outcomes if o.error and o.ended_s > since_s
        )

    def _send(self, request: dict[str, Any]) -> None:
        url = self.server.url
        with triton.InferenceServerClient(url, channel_args=channel_options(url)) as connection:
            while not self._over.is_set():
                sent_s, error = time.monotonic(), None
                try:
                    with server_errors(url, REQUEST_TIMEOUT_S):
                        connection.infer(**request, client_timeout=REQUEST_TIMEOUT_S)
                except VemoclapError as failure:
                    error = failure
                except BaseException as failure:
                    self.unexpected.append(failure)
                    return
                self.outcomes.append(Outcome(sent_s, time.monotonic(), error))
                if error:
                    time.sleep(0.5)


def processes(triton_pid: int) -> dict[str, psutil.Process]:
    """Triton and its Python processes by name: "triton" and <slot>_<group>_<instance>."""
    found = {TRITON: psutil.Process(triton_pid)}
    for child in found[TRITON].children():
        # One that has ended has no command line any more, and one that was just forked none of its
        # own yet.
        with suppress(psutil.NoSuchProcess):
            names = (word for word in child.cmdline() if re.fullmatch(r"\w+_\d+_\d+", word))
            found |= dict.fromkeys(names, child)
    return found
