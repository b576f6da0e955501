"""From a video file to the tensors that are sent: 16 frames and the sound.

`decode` does both. `open_video` gives the frames at any times, one after the other in bounded
memory, for what needs more than 16.

The clip begins with its first frame; every time is counted from there. Its duration is that
of its pictures, see _packets.VideoIndex. It is measured on the packets that are there, not
taken from the header, and is thus the same however the frames are then decoded.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from threading import Event as Flag
from typing import TypeAlias

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vemoclap_client._waiting import run_cancellable
from vemoclap_client.contract import FRAME_COUNT
from vemoclap_client.errors import EncryptedVideoError, UndecodableVideoError, VideoError
from vemoclap_client.media._audio import decode_sound
from vemoclap_client.media._frames import DecodingStatistics, TimedFrame, find_frames
from vemoclap_client.media._packets import DEFAULT_FRAME_RATE, VideoIndex, index_video
from vemoclap_client.media._scaling import Scaler, stack_images
from vemoclap_client.media.container import VideoFile, choose_video_stream, lacks_memory
from vemoclap_client.media.cuts import find_cuts

TimedImage: TypeAlias = tuple[float, NDArray[np.uint8]]
"""When a frame is shown, seconds from the clip's start, and its image uint8 [H, W, 3]."""


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
    end_s: Fraction | None
    """When the last frame ends, on the same clock."""
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
    cuts: tuple[int, ...] = ()
    """The frames before which the picture is cut."""

    def without_arrays(self) -> "DecodedClip":
        """All but frames and sound, which take much memory and are not needed once sent."""
        return replace(self, frames=np.zeros((0, 0, 0, 3), np.uint8), audio=np.zeros(0, np.float32))


@dataclass(frozen=True)
class Decoded:
    """A decoded clip, and how long decoding took in milliseconds."""

    clip: DecodedClip
    decode_ms: float

    def without_arrays(self) -> "Decoded":
        """See DecodedClip.without_arrays."""
        return replace(self, clip=self.clip.without_arrays())


def decode(
    path: str | Path, audio_track: int | None = None, cancel: Flag | None = None
) -> DecodedClip:
    """Decode the 16 frames and the sound of a local video file.

    Args:
        path: the file.
        audio_track: which of its sound tracks, from 1; by default the main one.
        cancel: when set, decoding ends in the background, and nobody gets its result.

    Raises:
        VideoError: its subclasses say why the file cannot be used, see errors.py.
        CancelledError: `cancel` was set.
    """

    def work() -> DecodedClip:
        with VideoFile(Path(path), audio_track) as file:
            return decode_file(file)

    return run_cancellable(work, cancel)


def decode_file(file: VideoFile) -> DecodedClip:
    """As decode, of an open file."""
    with open_pictures(file) as pictures:
        frames = _decode_frames(pictures, pictures.clip_times_s())
    sound = decode_sound(file, frames.start_s, frames.end_s)
    return DecodedClip(
        frames=frames.images,
        frame_times_s=frames.times_s,
        audio=sound.samples,
        audio_absent_reason=sound.absent_reason,
        duration_s=frames.duration_s,
        width=frames.width,
        height=frames.height,
        warnings=frames.warnings + sound.warnings,
        cuts=find_cuts(frames.images),
    )


def decode_frames(path: str | Path, times_s: Sequence[float | Fraction] | None = None) -> Frames:
    """Decode the frames nearest to some times; of two equally near ones the earlier.

    Args:
        path: of a local video file.
        times_s: seconds from the clip's start, ascending; by default i * duration / 16 for i
            in 0 ... 15. Times outside the clip give its first or last frame.

    Raises:
        VideoError: as decode.
        ValueError: no times are given, or they do not ascend.
    """
    with open_video(Path(path)) as video:
        return _decode_frames(video, video.clip_times_s() if times_s is None else times_s)


def _decode_frames(video: "OpenVideo", times_s: Sequence[float | Fraction]) -> Frames:
    if not times_s:
        raise ValueError("times_s is empty: give at least one time")
    seconds, images = zip(*video.frames_at(times_s), strict=True)
    width, height = video.scaler.displayed_size or (0, 0)
    return Frames(
        images=stack_images(images),
        times_s=seconds,
        duration_s=float(video.index.duration_s),
        start_s=video.index.start_s,
        end_s=video.index.end_s,
        width=width,
        height=height,
        warnings=video.warnings(),
        statistics=video.statistics,
    )


@dataclass
class OpenVideo:
    """An open file with one chosen video stream, as `open_video` gives it."""

    file: VideoFile
    container: InputContainer
    stream: VideoStream
    index: VideoIndex
    scaler: Scaler
    statistics: DecodingStatistics = field(default_factory=DecodingStatistics)

    def clip_times_s(self) -> list[Fraction]:
        """The times of the 16 frames that stand for the whole clip."""
        return [i * self.index.duration_s / FRAME_COUNT for i in range(FRAME_COUNT)]

    def frames_at(self, times_s: Sequence[float | Fraction]) -> Iterator[TimedImage]:
        """The frames nearest to some times, one after the other; can be called once.

        Args:
            times_s: as decode_frames'.

        Raises:
            UndecodableVideoError: not one frame can be decoded.
            ValueError: the times do not ascend.
        """
        targets = [self.index.ticks_at(max(Fraction(0), Fraction(t))) for t in times_s]
        if targets != sorted(targets):
            raise ValueError("times_s must ascend")
        try:
            yield from self._scaled(
                find_frames(
                    self.container, self.stream, self.index, targets, self.file, self.statistics
                ),
                expected=len(targets),
            )
        except av.FFmpegError as error:
            self.statistics.note(error)
            raise _undecodable(self.file.path, self.statistics.lacked_memory) from error

    def _scaled(self, frames: Iterator[TimedFrame], expected: int) -> Iterator[TimedImage]:
        ticks: int | None = None
        for next_ticks, frame in frames:
            # In a short clip the same frame is the nearest to several times.
            if next_ticks != ticks:
                ticks, image = next_ticks, self.scaler.scale(frame)
            yield self.index.seconds_at(ticks), image
            expected -= 1
        if expected:
            raise _undecodable(self.file.path, self.statistics.lacked_memory)

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
        if not self.index.states_rate:
            found.append(
                f"the file states no frame rate; {DEFAULT_FRAME_RATE} frames a second were "
                "assumed, so times may be off"
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
    with VideoFile(path) as file, open_pictures(file) as video:
        yield video


@contextmanager
def open_pictures(file: VideoFile) -> Iterator[OpenVideo]:
    """As open_video, of an open file."""
    with file.open_container() as container:
        stream = choose_video_stream(container, file.path)
        index = index_video(container, stream)
        if index is None:
            raise _undecodable(file.path)
        if index.encrypted:
            raise EncryptedVideoError(
                f"{file.path}: the pictures are encrypted (DRM): only players with a licence can "
                "show them. Neither getting the file again nor converting it helps."
            )
        aspect = stream.sample_aspect_ratio or Fraction(1)
        yield OpenVideo(file, container, stream, index, Scaler(aspect))


def _undecodable(path: Path, lacked_memory: bool = False) -> VideoError:
    if lacked_memory:
        return lacks_memory(path)
    return UndecodableVideoError(
        f"{path}: not one of its pictures can be decoded. The file is damaged, larger than 8K "
        "(7680 x 4320) or uses an unusual codec: get it again, or convert it, for example to MP4 "
        "with H.264."
    )
