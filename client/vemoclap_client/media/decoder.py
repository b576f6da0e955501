"""What decodes clips for a client: this process, or limited.LimitedDecoder."""

import time
from collections.abc import Generator
from pathlib import Path
from threading import Event as Flag
from typing import Protocol

from vemoclap_client._clock import milliseconds_since
from vemoclap_client.media.parts import DecodedWindow, Part, decode_parts
from vemoclap_client.media.video import Decoded, decode


def decode_timed(
    path: str | Path, audio_track: int | None = None, cancel: Flag | None = None
) -> Decoded:
    """As media.video.decode, and measures how long it takes."""
    started = time.perf_counter()
    clip = decode(path, audio_track, cancel)
    return Decoded(clip, milliseconds_since(started))


class Decoder(Protocol):
    """What a client needs of a decoder."""

    def decode(
        self, path: str | Path, audio_track: int | None = None, cancel: Flag | None = None
    ) -> Decoded:
        """As decode_timed; CancelledError where `cancel` was set."""

    def decode_parts(
        self,
        path: str | Path,
        window_s: float,
        hop_s: float,
        audio_track: int | None = None,
        cancel: Flag | None = None,
    ) -> Generator[Part | DecodedWindow]:
        """As media.parts.decode_parts; CancelledError where `cancel` was set."""


class DecoderHere:
    """Decodes in this process; what is cancelled ends in the background."""

    def decode(
        self, path: str | Path, audio_track: int | None = None, cancel: Flag | None = None
    ) -> Decoded:
        """As decode_timed."""
        return decode_timed(path, audio_track, cancel)

    def decode_parts(
        self,
        path: str | Path,
        window_s: float,
        hop_s: float,
        audio_track: int | None = None,
        cancel: Flag | None = None,
    ) -> Generator[Part | DecodedWindow]:
        """As media.parts.decode_parts."""
        return decode_parts(path, window_s, hop_s, audio_track, cancel)
