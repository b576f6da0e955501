"""Decodes each file in a process of its own, with limits.

A process that has imported what decoding needs forks one for each file: that takes milliseconds,
and what a file does to its process ends with it. See _seal.py for what such a process may do.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event as Flag
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from vemoclap_client._clock import milliseconds_since
from vemoclap_client.limited._messages import Request
from vemoclap_client.limited._work import Work
from vemoclap_client.limited.limits import DecodingLimits
from vemoclap_client.media.parts import DecodedWindow, Part
from vemoclap_client.media.video import Decoded
from vemoclap_client.media.windows import check_lengths

SERVER = "vemoclap_client.limited._server"

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Each thread would otherwise reserve memory of its own, which counts.
    "MALLOC_ARENA_MAX": "2",
}
"""All that the processes get of an environment, beside where to import from: no secrets."""


class LimitedDecoder:
    """Decodes files of strangers, any number at a time. Use it as a context manager, or `close`.

    The process that forks the decoders is started on first use, and again if it was killed.
    Methods can be called from any thread; what they decode is as media.video and media.parts.
    """

    def __init__(self, limits: DecodingLimits | None = None) -> None:
        """Nothing is started yet."""
        self.limits = limits or DecodingLimits()
        self._lock = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Starts the process already now, so that the first file need not wait for it."""
        with self._lock:
            self._started()

    def close(self) -> None:
        """Ends the process and all decoders."""
        with self._lock:
            self._stop()

    def decode(
        self, path: str | Path, audio_track: int | None = None, cancel: Flag | None = None
    ) -> Decoded:
        """As media.video.decode_timed.

        Args:
            path: the file.
            audio_track: which of its sound tracks, from 1; by default the main one.
            cancel: when set, the decoder is killed.

        Raises:
            VideoError: as decode; DecodingLimitError where it needs more than is allowed.
            CancelledError: `cancel` was set.
        """
        started = time.perf_counter()
        clip = self._only("decode_clip", path, cancel, audio_track=audio_track)
        return Decoded(clip, milliseconds_since(started))

    def decode_parts(
        self,
        path: str | Path,
        window_s: float,
        hop_s: float,
        audio_track: int | None = None,
        cancel: Flag | None = None,
    ) -> Generator[Part | DecodedWindow]:
        """As media.parts.decode_parts; a little is decoded ahead. Closing it ends the decoder."""
        check_lengths(window_s, hop_s)
        lengths = {"window_s": window_s, "hop_s": hop_s}
        with self._work("decode_parts", path, cancel, audio_track=audio_track, **lengths) as work:
            yield from work.results()

    def decode_middle_frame(self, path: str | Path) -> NDArray[np.uint8]:
        """The frame in the middle of a clip, uint8 [H, W, 3]; errors as of `decode`."""
        picture = self._only("decode_middle_frame", path, None)
        image: NDArray[np.uint8] = picture.image
        return image

    def stated_duration_s(self, path: str | Path) -> float:
        """The duration in a video's header, 0 where it states none; errors as of `decode`."""
        return float(self._only("look_at", path, None).duration_s)

    def _only(
        self, task: str, path: str | Path, cancel: Flag | None, **arguments: float | int | None
    ) -> Any:
        with self._work(task, path, cancel, **arguments) as work:
            (result,) = work.results()
            return result

    @contextmanager
    def _work(
        self, task: str, path: str | Path, cancel: Flag | None, **arguments: float | int | None
    ) -> Generator[Work]:
        folder = os.fsencode(Path.cwd())
        request = Request(task, folder, (os.fsencode(path),), arguments, self.limits)
        ours, theirs = socket.socketpair()
        watch, watched = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with closing(Work(request, ours, watch, cancel)) as work:
            with theirs, watched:
                self._send(msgspec.msgpack.encode(request), [theirs.fileno(), watched.fileno()])
            yield work

    def _send(self, request: bytes, descriptors: list[int]) -> None:
        with self._lock:
            try:
                socket.send_fds(self._started(), [request], descriptors)
            except ConnectionError:  # It was killed since.
                self._stop()
                socket.send_fds(self._started(), [request], descriptors)

    def _started(self) -> socket.socket:
        if self._control is None:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            places = os.pathsep.join(str(Path(place or ".").resolve()) for place in sys.path)
            with theirs:
                self._server = subprocess.Popen(
                    [sys.executable, "-P", "-m", SERVER, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env={**ENVIRONMENT, "PYTHONPATH": places},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C comes to this process alone.
                )
        return self._control

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._server is not None:
            self._server.wait()
            self._server = None
