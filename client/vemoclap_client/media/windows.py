"""Decodes a clip once, as overlapping windows of a given length.

Every window is decoded as `decode` would decode a file of just that stretch: 16 frames at even
times and the sound. A frame or a second of sound that several windows need is decoded once and
held until the last of them has it; so memory depends on the window, not on the clip.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vemoclap_client.contract import FRAME_COUNT, SAMPLE_RATE_HZ
from vemoclap_client.media.audio import (
    EMPTY,
    UNDECODABLE,
    Sound,
    SoundDecoder,
    UnusableSoundError,
    damage_warnings,
    no_sound,
    open_sound,
)
from vemoclap_client.media.scaling import stack_images
from vemoclap_client.media.video import DecodedClip, OpenVideo, decode, open_video

WINDOW_MIN_S, WINDOW_MAX_S = 1, 600
"""Ten minutes of sound are 38 MB, and several windows are held at a time."""

HOP_MIN_S = 0.25

HOPS_PER_WINDOW_MAX = 16
"""As many frames as a window has: beyond that, windows share nearly all of them."""

TAIL_MAX_S = 1
"""A shorter rest at the clip's end lengthens the last window rather than adding one."""


@dataclass(frozen=True)
class WindowTimes:
    """A stretch of time, in seconds from the clip's start."""

    start_s: Fraction
    end_s: Fraction

    def times_s(self) -> list[Fraction]:
        """The 16 even times whose nearest frames stand for this stretch."""
        length_s = self.end_s - self.start_s
        return [self.start_s + i * length_s / FRAME_COUNT for i in range(FRAME_COUNT)]


@dataclass(frozen=True)
class DecodedWindow:
    """One window of a clip, decoded.

    Attributes:
        number: from 0.
        count: how many windows the clip has.
        start_s: from the clip's start, seconds.
        end_s: from the clip's start, seconds.
        clip_duration_s: of the whole clip, seconds.
        clip: the window's frames and sound. Its frame times count from the whole clip's start;
            its warnings are what was found in the file so far.
    """

    number: int
    count: int
    start_s: float
    end_s: float
    clip_duration_s: float
    clip: DecodedClip


def check_lengths(window_s: float, hop_s: float) -> None:
    """Returns if windows can have these lengths.

    Raises:
        ValueError: one is out of range, or windows would leave gaps or overlap too much.
    """
    if not (isfinite(window_s) and WINDOW_MIN_S <= window_s <= WINDOW_MAX_S):
        raise ValueError(f"a window must last {WINDOW_MIN_S} to {WINDOW_MAX_S} s, not {window_s}")
    least_s = max(HOP_MIN_S, window_s / HOPS_PER_WINDOW_MAX)
    if not (isfinite(hop_s) and least_s <= hop_s <= window_s):
        raise ValueError(
            f"windows of {window_s:g} s must begin {least_s:g} to {window_s:g} s after each other, "
            f"not {hop_s}"
        )


def plan_windows(duration_s: Fraction, window_s: float, hop_s: float) -> list[WindowTimes]:
    """Where the windows of a clip lie: together they cover it from its start to its end.

    A window begins every hop. What is left at the end gets one more window, which ends with
    the clip and is as long as the others; or it lengthens the last window, if it is shorter
    than TAIL_MAX_S and half a hop. A clip no longer than that is one window.

    Raises:
        ValueError: as check_lengths.
    """
    check_lengths(window_s, hop_s)
    window, hop = _exact(window_s), _exact(hop_s)
    if duration_s <= window:
        return [WindowTimes(Fraction(0), duration_s)]
    steps = (duration_s - window) // hop
    spans = [WindowTimes(i * hop, i * hop + window) for i in range(steps + 1)]
    rest = duration_s - spans[-1].end_s
    if rest >= min(Fraction(TAIL_MAX_S), hop / 2):
        spans.append(WindowTimes(duration_s - window, duration_s))
    else:
        spans[-1] = WindowTimes(spans[-1].start_s, duration_s)
    return spans


def _exact(seconds: float) -> Fraction:
    """The decimal number that the user wrote: 0.1 is a tenth."""
    return Fraction(repr(float(seconds)))


def decode_windows(path: str | Path, window_s: float, hop_s: float) -> Generator[DecodedWindow]:
    """Decode a clip's windows, one after the other, in one pass.

    Its files stay open between two windows: exhaust it or `close` it.

    Raises:
        VideoError: as decode; windows before may have been given.
        ValueError: as check_lengths.
    """
    check_lengths(window_s, hop_s)
    with open_video(Path(path)) as video:
        duration_s = video.index.duration_s
        spans = plan_windows(duration_s, window_s, hop_s)
        if len(spans) > 1:
            yield from _decoded_windows(video, spans)
            return
    yield DecodedWindow(0, 1, 0.0, float(duration_s), float(duration_s), decode(path))


def _decoded_windows(video: OpenVideo, spans: Sequence[WindowTimes]) -> Iterator[DecodedWindow]:
    with SlicedSound(video.path, video.index.start_s) as sound:
        frames = _frames_of_windows(video, spans)
        for number, (span, found) in enumerate(zip(spans, frames, strict=True)):
            yield DecodedWindow(
                number=number,
                count=len(spans),
                start_s=float(span.start_s),
                end_s=float(span.end_s),
                clip_duration_s=float(video.index.duration_s),
                clip=_clip(video, span, found, sound.of(span)),
            )


def _frames_of_windows(
    video: OpenVideo, spans: Sequence[WindowTimes]
) -> Iterator[list[tuple[float, NDArray[np.uint8]]]]:
    """Each span's 16 frames, with when they are shown; a frame of several is decoded once."""
    due = sorted((time, number) for number, span in enumerate(spans) for time in span.times_s())
    gathered: dict[int, list[tuple[float, NDArray[np.uint8]]]] = defaultdict(list)
    frames = video.frames_at([time for time, _ in due])
    for (_, number), frame in zip(due, frames, strict=True):
        gathered[number].append(frame)
        # Spans end in the order in which they begin.
        if len(gathered[number]) == FRAME_COUNT:
            yield gathered.pop(number)


def _clip(
    video: OpenVideo, span: WindowTimes, frames: list[tuple[float, NDArray[np.uint8]]], sound: Sound
) -> DecodedClip:
    width, height = video.scaler.displayed_size or (0, 0)
    return DecodedClip(
        frames=stack_images([image for _, image in frames]),
        frame_times_s=tuple(time_s for time_s, _ in frames),
        audio=sound.samples,
        audio_absent_reason=sound.absent_reason,
        duration_s=float(span.end_s - span.start_s),
        width=width,
        height=height,
        warnings=video.warnings() + sound.warnings,
    )


class SlicedSound:
    """A file's sound, decoded as far as it is asked for and forgotten as soon as it is passed.

    Use it as a context manager.
    """

    def __init__(self, path: Path, start_s: Fraction | None) -> None:
        """Opens the sound track.

        Args:
            start_s: what becomes the first sample, as decode_audio's.
        """
        self._absent_reason: str | None = None
        self._decoder: SoundDecoder | None = None
        self._pieces: Iterator[NDArray[np.float32]] = iter(())
        self._held = np.zeros(0, np.float32)
        self._first = 0
        with ExitStack() as stack:
            try:
                self._decoder = stack.enter_context(open_sound(path))
                self._pieces = self._decoder.mono_pieces(start_s)
            except UnusableSoundError as error:
                self._absent_reason = str(error)
            self._open_files = stack.pop_all()

    def __enter__(self) -> SlicedSound:
        return self

    def __exit__(self, *_: object) -> None:
        self._open_files.close()

    def of(self, span: WindowTimes) -> Sound:
        """The sound of a span, which begins no earlier than the one asked for before."""
        first, end = (round(s * SAMPLE_RATE_HZ) for s in (span.start_s, span.end_s))
        self._forget_until(first)
        if self._absent_reason is None:
            try:
                self._hear_until(end)
            except UnusableSoundError as error:
                self._absent_reason = str(error)
        if self._absent_reason is not None:
            return no_sound(self._absent_reason)
        return self._to_sound(self._held[: end - self._first])

    def _forget_until(self, sample: int) -> None:
        passed = min(sample - self._first, self._held.size)
        self._held = self._held[passed:]
        self._first += passed

    def _hear_until(self, sample: int) -> None:
        new, heard = [self._held], self._first + self._held.size
        while heard < sample:
            piece = next(self._pieces, None)
            if piece is None:
                break
            new.append(piece)
            heard += piece.size
        self._held = np.concatenate(new)

    def _to_sound(self, samples: NDArray[np.float32]) -> Sound:
        damaged = self._decoder.damaged_packets if self._decoder else 0
        if samples.size:
            return Sound(np.clip(samples, -1, 1), None, tuple(damage_warnings(damaged)))
        if self._first:
            return no_sound("the sound track ends before this window begins")
        return no_sound(UNDECODABLE if damaged else EMPTY)
