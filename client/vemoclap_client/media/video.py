"""From a video file to what the server is asked about: 16 frames and the sound.

`decode` does both. `iterate_frames` finds the frames at any times, one after the other in
bounded memory, for what needs more than 16.

The clip begins with its first frame; every time is counted from there. Its duration is that
of its pictures, see packets.VideoIndex. It is measured on the packets that are there, not
taken from the header, and is thus the same however the frames are then decoded.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vemoclap_client.contract import FRAME_COUNT
from vemoclap_client.errors import UndecodableVideoError
from vemoclap_client.media.audio import Sound, decode_audio
from vemoclap_client.media.container import choose_video_stream, open_container
from vemoclap_client.media.frames import DecodingStatistics, TimedFrame, find_frames
from vemoclap_client.media.packets import VideoIndex, index_video
from vemoclap_client.media.scaling import Scaler, stack_images


@dataclass(frozen=True)
class Frames:
    """Frames of a clip, scaled, upright, with square pixels."""

    images: NDArray[np.uint8]
    """uint8 [count, H, W, 3], RGB."""
    times_s: tuple[float, ...]
    """When each frame is really shown, seconds from the clip's start."""
    duration_s: float
    start_s: Fraction | None
    """When the first frame is shown on the file's own clock, to align the sound with.

    None: that clock cannot be used, so the sound is to begin with the pictures.
    """
    width: int
    """Of the clip as a player displays it: upright, with square pixels."""
    height: int
    warnings: tuple[str, ...]
    statistics: DecodingStatistics = field(compare=False)


@dataclass(frozen=True)
class DecodedClip:
    """A decoded clip, ready to be sent."""

    frames: NDArray[np.uint8]
    """uint8 [16, H, W, 3], RGB, upright, with square pixels."""
    frame_times_s: tuple[float, ...]
    """When each of the 16 frames is really shown, seconds from the clip's start."""
    audio: NDArray[np.float32]
    """float32 [samples], mono, 16 kHz, in [-1, 1], from the clip's start; empty: no sound."""
    audio_absent_reason: str | None
    """Why there is no sound; None if there is."""
    duration_s: float
    width: int
    """Of the clip as a player displays it, in pixels."""
    height: int
    warnings: tuple[str, ...]
    """What could not be used, in words for the user."""

    @property
    def has_audio(self) -> bool:
        """Whether there is sound, be it silence."""
        return self.audio_absent_reason is None


def decode(path: str | Path) -> DecodedClip:
    """Decode the 16 frames and the sound of a local video file.

    Raises:
        VideoError: its subclasses say why the file cannot be used, see errors.py.
    """
    frames = decode_frames(path)
    sound: Sound = decode_audio(path, frames.start_s)
    return DecodedClip(
        frames=frames.images,
        frame_times_s=frames.times_s,
        audio=sound.samples,
        audio_absent_reason=sound.absent_reason,
        duration_s=frames.duration_s,
        width=frames.width,
        height=frames.height,
        warnings=frames.warnings + sound.warnings,
    )


def decode_frames(path: str | Path, times_s: Sequence[float | Fraction] | None = None) -> Frames:
    """Decode the frames nearest to some times; of two equally near ones the earlier.

    Args:
        times_s: seconds from the clip's start, ascending; by default i * duration / 16 for i
            in 0 ... 15. Times outside the clip give its first or last frame.

    Raises:
        VideoError: as decode.
        ValueError: no times are given, or they do not ascend.
    """
    with open_video(Path(path)) as video:
        times_s = video.clip_times_s() if times_s is None else times_s
        if not times_s:
            raise ValueError("times_s is empty: give at least one time")
        images: list[NDArray[np.uint8]] = []
        seconds: list[float] = []
        for second, image in video.frames_at(times_s):
            images.append(image)
            seconds.append(second)
        width, height = video.scaler.displayed_size or (0, 0)
        return Frames(
            images=stack_images(images),
            times_s=tuple(seconds),
            duration_s=float(video.index.duration_s),
            start_s=video.index.start_s,
            width=width,
            height=height,
            warnings=video.warnings(),
            statistics=video.statistics,
        )


def iterate_frames(
    path: str | Path, times_s: Sequence[float | Fraction]
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """As decode_frames, but one frame after the other, holding none.

    Yields:
        For each time, when the frame is really shown and its image, uint8 [H, W, 3].

    Raises:
        VideoError: as decode.
        ValueError: the times do not ascend.
    """
    with open_video(Path(path)) as video:
        yield from video.frames_at(times_s)


@dataclass
class OpenVideo:
    """An open file with one chosen video stream, as `open_video` gives it."""

    path: Path
    container: InputContainer
    stream: VideoStream
    index: VideoIndex
    scaler: Scaler
    statistics: DecodingStatistics = field(default_factory=DecodingStatistics)

    def clip_times_s(self) -> list[Fraction]:
        """The times of the 16 frames that stand for the whole clip."""
        return [i * self.index.duration_s / FRAME_COUNT for i in range(FRAME_COUNT)]

    def frames_at(
        self, times_s: Sequence[float | Fraction]
    ) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """As iterate_frames, on this file; can be called once."""
        targets = [self.index.ticks_at(max(Fraction(0), Fraction(t))) for t in times_s]
        if targets != sorted(targets):
            raise ValueError("times_s must ascend")
        try:
            yield from self._scaled(
                find_frames(
                    self.container, self.stream, self.index, targets, self.path, self.statistics
                ),
                expected=len(targets),
            )
        except av.FFmpegError as error:
            raise _undecodable(self.path) from error

    def _scaled(
        self, frames: Iterator[TimedFrame], expected: int
    ) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        ticks: int | None = None
        for next_ticks, frame in frames:
            # In a short clip the same frame is the nearest to several times.
            if next_ticks != ticks:
                ticks, image = next_ticks, self.scaler.scale(frame)
            yield self.index.seconds_at(ticks), image
            expected -= 1
        if expected:
            raise _undecodable(self.path)

    def warnings(self) -> tuple[str, ...]:
        """What could not be used of the pictures read so far, in words for the user."""
        found = []
        if self.index.missing_s:
            there_s = float(self.index.duration_s)
            stated_s = there_s + self.index.missing_s
            found.append(
                f"the file ends at {there_s:.1f} s of the {stated_s:.1f} s its header states; "
                "what is there was used"
            )
        if self.index.clock_jumps:
            found.append(
                "the file's clock jumps, as where recordings were joined; the pictures were taken "
                "to follow each other evenly, so times may be off"
            )
        if self.index.last_frame_s:
            found.append(
                f"the last picture claims to be shown for {self.index.last_frame_s:.0f} s; it was "
                "taken to be shown as long as the others"
            )
        if self.scaler.is_hdr:
            found.append(
                "the pictures are HDR and were mapped to the brightness and colours of SDR"
            )
        if self.scaler.changed_shape:
            found.append(
                "the pictures change their size or shape; frames of other shapes have black borders"
            )
        if self.statistics.damaged_packets:
            found.append(
                f"{self.statistics.damaged_packets} damaged packets of the pictures were left out"
            )
        return tuple(found)


@contextmanager
def open_video(path: Path) -> Iterator[OpenVideo]:
    """Open a file and read its packets, but decode none.

    Raises:
        VideoError: as decode.
    """
    with open_container(path) as container:
        stream = choose_video_stream(container, path)
        index = index_video(container, stream)
        if index is None:
            raise _undecodable(path)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        yield OpenVideo(path, container, stream, index, Scaler(aspect))


def _undecodable(path: Path) -> UndecodableVideoError:
    return UndecodableVideoError(
        f"{path}: not one of its pictures can be decoded. The file is damaged, larger than 8K "
        "(7680 x 4320) or uses an unusual codec: get it again, or convert it, for example to MP4 "
        "with H.264."
    )
