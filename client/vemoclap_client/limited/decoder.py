"""Decodes each file in a process of its own, with limits.

A process that has imported what decoding needs forks one for each file: that takes milliseconds,
and what a file does to its process ends with it. See _seal.py for what such a process may do.
"""

import os
import socket
import time
import weakref
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event as Flag
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from vemoclap_client._clock import milliseconds_since
from vemoclap_client.limited._forks import ForkServer
from vemoclap_client.limited._messages import Request
from vemoclap_client.limited._work import Work
from vemoclap_client.limited.limits import BYTES_PER_MB, DecodingLimits
from vemoclap_client.media.parts import DecodedWindow, Part
from vemoclap_client.media.video import Decoded
from vemoclap_client.media.windows import check_lengths


class LimitedDecoder:
    """Decodes files of strangers, any number at a time. Use it as a context manager, or `close`.

    The process that forks the decoders is started on first use, and again if it was killed.
    Methods can be called from any thread; what they decode is as media.video and media.parts.
    """

    def __init__(self, limits: DecodingLimits | None = None) -> None:
        """Nothing is started yet."""
        self.limits = limits or DecodingLimits()
        self._forks = ForkServer()
        # Also where nobody closes it.
        self._stop = weakref.finalize(self, self._forks.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Starts the process already now, so that the first file need not wait for it."""
        self._forks.start()

    def close(self) -> None:
        """Ends the process and all decoders; it is started again when it is used again."""
        self._forks.stop()

    def decode(
        self, path: str | Path, audio_track: int | None = None, cancel: Flag | None = None
    ) -> Decoded:
        """As media.decoder.decode_timed.

        Args:
            path: the file.
            audio_track: which of its sound tracks, from 1; by default the main one.
            cancel: when set, the decoder is killed.

        Raises:
            VideoError: as decode; DecodingLimitError where it needs more than is allowed.
            CancelledError: `cancel` was set.
        """
        started = time.perf_counter()
        clip = self._only("decode_clip", [path], cancel, audio_track=audio_track)
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
        arguments = {"window_s": window_s, "hop_s": hop_s, "audio_track": audio_track}
        with self._work("decode_parts", [path], cancel, arguments) as work:
            yield from work.results()

    def decode_middle_frame(self, path: str | Path) -> NDArray[np.uint8]:
        """The frame in the middle of a clip, uint8 [H, W, 3]; errors as of `decode`."""
        image: NDArray[np.uint8] = self._only("decode_middle_frame", [path]).image
        return image

    def stated_duration_s(self, path: str | Path) -> float:
        """The duration in a video's header, 0 where it states none; errors as of `decode`."""
        return float(self._only("look_at", [path]).duration_s)

    def join(self, pictures: Path, sound: Path, target: Path) -> None:
        """As media.joining.join, to a new file; errors as of `decode`."""
        size = pictures.stat().st_size + sound.stat().st_size
        self._only("join", [pictures, sound, target], written_bytes=2 * size + BYTES_PER_MB)

    def _only(
        self,
        task: str,
        paths: list[str | Path] | list[Path],
        cancel: Flag | None = None,
        *,
        written_bytes: int = 0,
        **arguments: int | None,
    ) -> Any:
        """The only result of a task."""
        with self._work(task, paths, cancel, arguments, written_bytes) as work:
            (result,) = work.results()
            return result

    @contextmanager
    def _work(
        self,
        task: str,
        paths: list[str | Path] | list[Path],
        cancel: Flag | None,
        arguments: dict[str, Any],
        written_bytes: int = 0,
    ) -> Generator[Work]:
        request = Request(
            task=task,
            folder=os.fsencode(Path.cwd()),
            paths=tuple(map(os.fsencode, paths)),
            arguments=arguments,
            limits=self.limits,
            written_bytes=written_bytes,
        )
        messages, output = socket.socketpair()
        watch, watched = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with closing(Work(request, messages, watch, cancel)) as work:
            with output, watched:
                self._forks.send(msgspec.msgpack.encode(request), output, watched)
            yield work
