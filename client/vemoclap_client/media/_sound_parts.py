"""Decodes a file's sound once, as the audio windows and the pieces of speech of a timeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from vemoclap_client.audio_windows import absence, cut, silence, window_starts
from vemoclap_client.contract import SAMPLE_RATE_HZ
from vemoclap_client.media._audio import (
    EMPTY,
    UNDECODABLE,
    SoundDecoder,
    UnusableSoundError,
    open_sound,
    sound_warnings,
)
from vemoclap_client.media.container import VideoFile
from vemoclap_client.media.windows import WindowTimes

PIECE_MIN_S, PIECE_MAX_S = 20, 30
"""Whisper encodes 30 s at a time: of the last 10 of them, the quietest moment ends a piece."""

LEVEL_SAMPLES = SAMPLE_RATE_HZ // 50
PAUSE_LEVELS = 20
"""A pause is 0.4 s of sound, whose loudness is taken every 20 ms."""


@dataclass(frozen=True)
class AudioWindows:
    """Audio windows of a clip.

    Attributes:
        starts: the first sample of each, from the clip's start.
        samples: float32 [n, 48000].
    """

    starts: tuple[int, ...]
    samples: NDArray[np.float32]


@dataclass(frozen=True)
class SpeechPiece:
    """A piece of a clip's sound, cut at pauses.

    Attributes:
        first: its first sample, from the clip's start.
        end: the sample after its last.
        samples: float32 [end - first].
    """

    first: int
    end: int
    samples: NDArray[np.float32]


@dataclass(frozen=True)
class WindowSound:
    """The sound of a window.

    Attributes:
        audio_windows: the first sample of each of its audio windows, from the clip's start.
        absent: "audio", "speech" -> why it has none; not of what is to be recognised first.
        warnings: what could not be used of the sound so far.
    """

    audio_windows: tuple[int, ...]
    absent: dict[str, str]
    warnings: tuple[str, ...]


class PartedSound:
    """A file's sound, decoded window by window; what no later window needs is dropped.

    Use it as a context manager.
    """

    def __init__(
        self,
        file: VideoFile,
        start_s: Fraction | None,
        end_s: Fraction | None,
        windows: Sequence[WindowTimes],
    ) -> None:
        """Opens the sound track.

        Args:
            file: an open file.
            start_s: what becomes the first sample, as decode_audio's; likewise end_s.
            end_s: see start_s.
            windows: those of the clip; what sounds after the last is left out.
        """
        self._absent_reason: str | None = None
        self._decoder: SoundDecoder | None = None
        self._decoded: Iterator[NDArray[np.float32]] = iter(())
        self._held = np.zeros(0, np.float32)
        self._first = 0
        self._windows = iter(windows)
        self._length = _sample_at(windows[-1].end_s)
        self._piece_first = 0
        self._encoded: set[int] = set()
        self._window: WindowSound | None = None
        with ExitStack() as stack:
            try:
                self._decoder = stack.enter_context(open_sound(file))
                self._decoded = self._decoder.mono_pieces(start_s, end_s)
            except UnusableSoundError as error:
                self._absent_reason = str(error)
            self._open_container = stack.pop_all()

    def __enter__(self) -> PartedSound:
        return self

    def __exit__(self, *_: object) -> None:
        self._open_container.close()

    def next_parts(self) -> Iterator[SpeechPiece | AudioWindows]:
        """What the next window needs and none before it did."""
        times = next(self._windows)
        first, end = _sample_at(times.start_s), _sample_at(times.end_s)
        self._drop_before(min(first, self._piece_first))
        while self._piece_first < end and (piece := self._next_piece()):
            yield piece
        self._decode_to(end)
        starts, absent = self._describe(first, self._slice(first, end))
        self._encoded = {start for start in self._encoded if start >= first}
        if new := [start for start in starts if start not in self._encoded]:
            held = np.array(new) - self._first
            yield AudioWindows(tuple(new), np.clip(cut(self._held, held), -1, 1))
        self._encoded.update(new)
        self._window = WindowSound(starts, absent, self._warnings())

    def window(self) -> WindowSound:
        """The sound of the window whose parts were decoded last."""
        assert self._window is not None
        return self._window

    def _describe(
        self, first: int, sound: NDArray[np.float32]
    ) -> tuple[tuple[int, ...], dict[str, str]]:
        """The audio windows of a window's sound, and what of it is absent, and why."""
        if reason := self._no_sound(sound):
            return (), dict.fromkeys(("audio", "speech"), reason)
        absent = {"audio": absence(sound), "speech": silence(sound)}
        starts = () if absent["audio"] else tuple((first + window_starts(sound.size)).tolist())
        return starts, {modality: reason for modality, reason in absent.items() if reason}

    def _no_sound(self, sound: NDArray[np.float32]) -> str | None:
        if self._absent_reason is not None or sound.size:
            return self._absent_reason
        if self._first:
            return "the sound track ends before this window begins"
        return UNDECODABLE if self._damaged() else EMPTY

    def _next_piece(self) -> SpeechPiece | None:
        first = self._piece_first
        sound = self._slice(first, self._decode_to(first + PIECE_MAX_S * SAMPLE_RATE_HZ))
        if not sound.size:
            self._piece_first = self._length
            return None
        if sound.size == PIECE_MAX_S * SAMPLE_RATE_HZ:
            sound = sound[: quietest(sound)]
        self._piece_first += sound.size
        return SpeechPiece(first, self._piece_first, sound)

    def _slice(self, first: int, end: int) -> NDArray[np.float32]:
        held = self._held[max(0, first - self._first) : max(0, end - self._first)]
        return np.clip(held, -1, 1)

    def _drop_before(self, sample: int) -> None:
        passed = min(sample - self._first, self._held.size)
        self._held = self._held[passed:]
        self._first += passed

    def _decode_to(self, sample: int) -> int:
        """Decodes up to this sample or the clip's end, and returns which of them."""
        end = min(sample, self._length)
        pieces, decoded = [self._held], self._first + self._held.size
        try:
            while decoded < end and (piece := next(self._decoded, None)) is not None:
                pieces.append(piece)
                decoded += piece.size
        except UnusableSoundError as error:
            self._absent_reason = str(error)
        self._held = np.concatenate(pieces)
        return end

    def _damaged(self) -> int:
        return self._decoder.damaged_packets if self._decoder else 0

    def _warnings(self) -> tuple[str, ...]:
        return tuple(sound_warnings(self._decoder)) if self._decoder else ()


def _sample_at(seconds: Fraction) -> int:
    return round(seconds * SAMPLE_RATE_HZ)


def quietest(sound: NDArray[np.float32]) -> int:
    """Where to cut 30 s of sound: in the middle of the last of the quietest pauses after 20 s."""
    levels = np.square(sound).reshape(-1, LEVEL_SAMPLES).mean(axis=1)
    after = PIECE_MIN_S * SAMPLE_RATE_HZ // LEVEL_SAMPLES
    pauses = np.convolve(levels[after:], np.ones(PAUSE_LEVELS), "valid")
    last = len(pauses) - 1 - int(np.argmin(pauses[::-1]))
    return (after + last + PAUSE_LEVELS // 2) * LEVEL_SAMPLES
