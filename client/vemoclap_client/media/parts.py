"""Decodes a clip once, as the parts that the windows of a timeline share.

A frame or a second of sound that several windows need is decoded once and becomes one part; the
windows say which they need. Memory depends on the window's length, not on the clip's.
"""

from collections import defaultdict, deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from pathlib import Path
from threading import Event as Flag
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vemoclap_client._waiting import iterate_cancellable
from vemoclap_client.contract import AUDIO_MAX_S, FRAME_COUNT
from vemoclap_client.errors import DecodingLimitError, VideoError
from vemoclap_client.media._scaling import stack_images
from vemoclap_client.media._sound_parts import AudioWindows, PartedSound, SpeechPiece, WindowSound
from vemoclap_client.media.container import VideoFile
from vemoclap_client.media.video import OpenVideo, open_pictures
from vemoclap_client.media.windows import (
    TooManyWindowsError,
    WindowTimes,
    check_lengths,
    plan_windows,
)


@dataclass(frozen=True)
class FrameBlock:
    """16 frames of a clip, which are encoded together.

    Attributes:
        number: from 0; block i has the frames 16 i to 16 i + 15.
        images: uint8 [16, H, W, 3]; in the last block, copies of the last frame follow it.
    """

    number: int
    images: NDArray[np.uint8]


@dataclass(frozen=True)
class DecodedWindow:
    """One window of a clip: which of the parts it consists of.

    Attributes:
        number: from 0.
        count: how many windows the clip has.
        start_s: from the clip's start, seconds.
        end_s: from the clip's start, seconds.
        clip_duration_s: of the whole clip, seconds.
        frames: the numbers of its 16 frames; in a short clip a frame may be there twice.
        frame_times_s: when each of them is shown, seconds from the clip's start.
        sound: its audio windows, or why it has none.
        warnings: what was found in the file so far.
    """

    number: int
    count: int
    start_s: float
    end_s: float
    clip_duration_s: float
    frames: tuple[int, ...]
    frame_times_s: tuple[float, ...]
    sound: WindowSound
    warnings: tuple[str, ...]

    @property
    def heard_until_s(self) -> float:
        """Until when its sound counts: the only window's counts also after the frames."""
        return inf if self.count == 1 else self.end_s


Part: TypeAlias = FrameBlock | AudioWindows | SpeechPiece
"""What is encoded once, for all windows that need it."""


def decode_parts(
    path: str | Path,
    window_s: float,
    hop_s: float,
    audio_track: int | None = None,
    cancel: Flag | None = None,
) -> Generator[Part | DecodedWindow]:
    """Decode a clip's parts and windows in one pass; a window follows the parts that it needs.

    The file stays open meanwhile: exhaust it or `close` it.

    Raises:
        VideoError: as decode; windows before may have been given.
        ValueError: as check_lengths.
        CancelledError: as decode.
    """

    def found() -> Generator[Part | DecodedWindow]:
        with VideoFile(Path(path), audio_track) as file:
            yield from decode_file_parts(file, window_s, hop_s)

    check_lengths(window_s, hop_s)
    yield from iterate_cancellable(found(), cancel)


def decode_file_parts(
    file: VideoFile, window_s: float, hop_s: float
) -> Iterator[Part | DecodedWindow]:
    """As decode_parts, of an open file."""
    with open_pictures(file) as video:
        try:
            windows = plan_windows(video.index.duration_s, window_s, hop_s)
        except TooManyWindowsError as error:
            raise DecodingLimitError(f"{file.path}: {error}") from error
        heard = windows
        if len(windows) == 1:
            # See DecodedWindow.heard_until_s.
            heard = [WindowTimes(Fraction(0), Fraction(AUDIO_MAX_S))]
        with PartedSound(file, video.index.start_s, video.index.end_s, heard) as sound:
            yield from _decode(video, sound, windows)


def _decode(
    video: OpenVideo, sound: PartedSound, windows: Sequence[WindowTimes]
) -> Iterator[Part | DecodedWindow]:
    # The sound comes a window ahead: what is said takes longest.
    yield from sound.next_parts()
    number = 0
    for found in _blocks_and_frames(video, windows):
        if isinstance(found, FrameBlock):
            yield found
            continue
        times, heard = windows[number], sound.window()
        yield DecodedWindow(
            number=number,
            count=len(windows),
            start_s=float(times.start_s),
            end_s=float(times.end_s),
            clip_duration_s=float(video.index.duration_s),
            frames=tuple(frame for frame, _ in found),
            frame_times_s=tuple(time_s for _, time_s in found),
            sound=heard,
            warnings=video.warnings() + heard.warnings,
        )
        number += 1
        if number < len(windows):
            yield from sound.next_parts()


WindowFrames: TypeAlias = list[tuple[int, float]]
"""Numbers and times, seconds from the clip's start, of a window's 16 frames."""


def _blocks_and_frames(
    video: OpenVideo, windows: Sequence[WindowTimes]
) -> Iterator[FrameBlock | WindowFrames]:
    """Every frame that a window needs, once, in blocks; each window's frames after its blocks."""
    due = sorted((time, n) for n, times in enumerate(windows) for time in times.frames_s())
    gathered: dict[int, WindowFrames] = defaultdict(list)
    complete: deque[WindowFrames] = deque()
    images: list[NDArray[np.uint8]] = []
    frame, shown_s = -1, -1.0
    failure: VideoError | None = None
    frames = video.frames_at([time for time, _ in due])
    for _, number in due:
        try:
            time_s, image = next(frames)
        except VideoError as error:
            failure = error
            break
        if time_s != shown_s:
            frame, shown_s = frame + 1, time_s
            if len(images) == FRAME_COUNT:
                yield FrameBlock(frame // FRAME_COUNT - 1, stack_images(images))
                images = []
                while complete and complete[0][-1][0] < frame:
                    yield complete.popleft()
            images.append(image)
        gathered[number].append((frame, time_s))
        # Windows end in the order in which they begin.
        if len(gathered[number]) == FRAME_COUNT:
            complete.append(gathered.pop(number))
    if complete:
        images += [images[-1]] * (FRAME_COUNT - len(images))
        yield FrameBlock(frame // FRAME_COUNT, stack_images(images))
        yield from complete
    if failure is not None:
        raise failure
