"""Decodes a clip once, as overlapping windows of a given length.

Every window is decoded as `decode` would decode a file of just that time: 16 frames at even
times and the sound. A frame or a second of sound that several windows need is decoded once and
held until the last of them has it; so memory depends on the window, not on the clip.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vemoclap_client.contract import FRAME_COUNT, SAMPLE_RATE_HZ
from vemoclap_client.media._audio import (
    EMPTY,
    UNDECODABLE,
    Sound,
    SoundDecoder,
    UnusableSoundError,
    damage_warnings,
    no_sound,
    open_sound,
)
from vemoclap_client.media._scaling import stack_images
from vemoclap_client.media.container import VideoFile
from vemoclap_client.media.video import (
    DecodedClip,
    OpenVideo,
    TimedImage,
    decode_file,
    open_pictures,
)

WINDOW_MIN_S, WINDOW_MAX_S = 1, 600
"""Ten minutes of sound are 38 MB, and several windows are held at a time."""

HOP_MIN_S = 0.25

HOPS_PER_WINDOW_MAX = 16
"""As many frames as a window has: beyond that, windows share nearly all of them."""

TAIL_MAX_S = 1
"""A shorter rest at the clip's end lengthens the last window rather than adding one."""


@dataclass(frozen=True)
class WindowTimes:
    """When a window begins and ends, in seconds from the clip's start."""

    start_s: Fraction
    end_s: Fraction

    def frames_s(self) -> list[Fraction]:
        """The 16 even times whose nearest frames stand for the window."""
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

    def without_arrays(self) -> DecodedWindow:
        """See DecodedClip.without_arrays."""
        return replace(self, clip=self.clip.without_arrays())


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
    windows = [WindowTimes(i * hop, i * hop + window) for i in range(steps + 1)]
    rest = duration_s - windows[-1].end_s
    if rest >= min(Fraction(TAIL_MAX_S), hop / 2):
        windows.append(WindowTimes(duration_s - window, duration_s))
    else:
        windows[-1] = WindowTimes(windows[-1].start_s, duration_s)
    return windows


def _exact(seconds: float) -> Fraction:
    """The decimal number that the user wrote: 0.1 is a tenth."""
    return Fraction(repr(float(seconds)))


def decode_windows(
    path: str | Path, window_s: float, hop_s: float, audio_track: int | None = None
) -> Generator[DecodedWindow]:
    """Decode a clip's windows, one after the other, in one pass.

    The file stays open between two windows: exhaust it or `close` it.

    Raises:
        VideoError: as decode; windows before may have been given.
        ValueError: as check_lengths.
    """
    check_lengths(window_s, hop_s)
    with VideoFile(Path(path), audio_track) as file:
        with open_pictures(file) as video:
            clip_s = float(video.index.duration_s)
            windows = plan_windows(video.index.duration_s, window_s, hop_s)
            if len(windows) > 1:
                yield from _decode_windows(video, windows)
                return
        yield DecodedWindow(0, 1, 0.0, clip_s, clip_s, decode_file(file))


def _decode_windows(video: OpenVideo, windows: Sequence[WindowTimes]) -> Iterator[DecodedWindow]:
    with SlicedSound(video.file, video.index.start_s, video.index.end_s) as sound:
        frames_of_windows = _frames_of_windows(video, windows)
        for number, (times, frames) in enumerate(zip(windows, frames_of_windows, strict=True)):
            yield DecodedWindow(
                number=number,
                count=len(windows),
                start_s=float(times.start_s),
                end_s=float(times.end_s),
                clip_duration_s=float(video.index.duration_s),
                clip=_clip(video, times, frames, sound.decode_window(times)),
            )


def _frames_of_windows(
    video: OpenVideo, windows: Sequence[WindowTimes]
) -> Iterator[list[TimedImage]]:
    """Each window's 16 frames, with when they are shown; a frame of several is decoded once."""
    due = sorted((time, n) for n, times in enumerate(windows) for time in times.frames_s())
    gathered: dict[int, list[TimedImage]] = defaultdict(list)
    frames = video.frames_at([time for time, _ in due])
    for (_, number), frame in zip(due, frames, strict=True):
        gathered[number].append(frame)
        # Windows end in the order in which they begin.
        if len(gathered[number]) == FRAME_COUNT:
            yield gathered.pop(number)


def _clip(
    video: OpenVideo,
    times: WindowTimes,
    frames: list[TimedImage],
    sound: Sound,
) -> DecodedClip:
    width, height = video.scaler.displayed_size or (0, 0)
    return DecodedClip(
        frames=stack_images([image for _, image in frames]),
        frame_times_s=tuple(time_s for time_s, _ in frames),
        audio=sound.samples,
        audio_absent_reason=sound.absent_reason,
        duration_s=float(times.end_s - times.start_s),
        width=width,
        height=height,
        warnings=video.warnings() + sound.warnings,
    )


class SlicedSound:
    """A file's sound, decoded window by window; what no later window needs is dropped.

    Use it as a context manager.
    """

    def __init__(self, file: VideoFile, start_s: Fraction | None, end_s: Fraction | None) -> None:
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
                self._decoder = stack.enter_context(open_sound(file))
                self._pieces = self._decoder.mono_pieces(start_s, end_s)
            except UnusableSoundError as error:
                self._absent_reason = str(error)
            self._open_container = stack.pop_all()

    def __enter__(self) -> SlicedSound:
        return self

    def __exit__(self, *_: object) -> None:
        self._open_container.close()

    def decode_window(self, times: WindowTimes) -> Sound:
        """A window's sound; it begins no earlier than the window of the call before."""
        first, end = (round(s * SAMPLE_RATE_HZ) for s in (times.start_s, times.end_s))
        self._drop_before(first)
        if self._absent_reason is None:
            try:
                self._decode_to(end)
            except UnusableSoundError as error:
                self._absent_reason = str(error)
        if self._absent_reason is not None:
            return no_sound(self._absent_reason)
        return self._to_sound(self._held[: end - self._first])

    def _drop_before(self, sample: int) -> None:
        passed = min(sample - self._first, self._held.size)
        self._held = self._held[passed:]
        self._first += passed

    def _decode_to(self, sample: int) -> None:
        pieces, decoded = [self._held], self._first + self._held.size
        while decoded < sample:
            piece = next(self._pieces, None)
            if piece is None:
                break
            pieces.append(piece)
            decoded += piece.size
        self._held = np.concatenate(pieces)

    def _to_sound(self, samples: NDArray[np.float32]) -> Sound:
        damaged = self._decoder.damaged_packets if self._decoder else 0
        if samples.size:
            return Sound(np.clip(samples, -1, 1), None, tuple(damage_warnings(damaged)))
        if self._first:
            return no_sound("the sound track ends before this window begins")
        return no_sound(UNDECODABLE if damaged else EMPTY)
