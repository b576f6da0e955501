"""Writes tiny synthetic clips with PyAV, for every test that needs a video.

Each frame carries its own number: a row of colours (red, green, blue, white) above three rows
of four black or white blocks, the number's bits. `read_number` finds it again in a decoded and
scaled frame, also after lossy coding, and fails if the frame is not upright.

    path = write_clip(tmp_path / "clip.mp4", seconds=2, sound=Tone(frequencies_hz=(440,)))
    path = write_clip(tmp_path / "open.mkv", codec="libx265", **OPEN_GOP["libx265"])
    path = cut(path, tmp_path / "cut.mp4", keep=0.5)
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

os.environ.setdefault("SVT_LOG", "0")  # The encoder libsvtav1 writes to stderr otherwise.

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))
"""The top row of every frame, from left to right."""

BITS = 12
"""Frames are numbered from 0 to 4095."""

KEEP_CLOCK = {"mpegts_copyts": "1"}
"""Container options that let an MPEG-TS begin at any time instead of near zero."""

OPTIONS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "ultrafast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"},
    "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime"},
    "libvpx": {"cpu-used": "8", "deadline": "realtime"},
    "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
}
"""What makes each encoder fast and silent."""

OPEN_GOP: dict[str, dict[str, str]] = {
    "libx264": {"preset": "fast", "x264-params": "open-gop=1:scenecut=0:b-adapt=0"},
    "libx265": {
        "preset": "ultrafast",
        "x265-params": "log-level=none:pools=1:open-gop=1:scenecut=0:b-adapt=0:bframes=3",
    },
}
"""Options for GOPs whose first B-frames need the GOP before."""

APART_S = Fraction(1, 10)
"""Between copies of a clip, since sound begins before its pictures."""


@dataclass(frozen=True)
class Tone:
    """A sound track: one sine for each channel."""

    frequencies_hz: Sequence[float] = (440.0,)
    """One for each channel, in the layout's order; 0 is silence."""
    amplitude: float = 0.5
    seconds: float = 2.0
    start_s: float = 0.0
    """When it begins, on the clock of the pictures."""
    rate_hz: int = 44_100
    layout: str = "mono"
    codec: str = "aac"

    def samples(self) -> NDArray[np.float32]:
        """The samples, float32 [channels, samples]."""
        times = np.arange(round(self.seconds * self.rate_hz)) / self.rate_hz
        phases = 2 * np.pi * np.outer(np.asarray(self.frequencies_hz, np.float64), times)
        return (self.amplitude * np.sin(phases)).astype(np.float32)


def numbered_image(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """An upright image [height, width, 3] that shows a number, over a faint moving texture."""
    cells = np.zeros((4, 4, 3), np.uint8)
    cells[0] = COLOURS
    cells[1:] = _bits(number).reshape(3, 4, 1) * 255
    rows = np.arange(height) * 4 // height
    columns = np.arange(width) * 4 // width
    image = cells[np.ix_(rows, columns)].astype(np.int16)
    texture = (np.add.outer(np.arange(height), np.arange(width)) + 5 * number) % 32
    return np.asarray(np.abs(image - texture[..., np.newaxis]), np.uint8)


def read_number(image: NDArray[np.uint8]) -> int:
    """The number that an upright decoded image [H, W, 3] shows.

    Raises:
        AssertionError: the colours of the top row are not where they belong.
    """
    height, width, _ = image.shape
    cells = image[np.ix_(_centres(height), _centres(width))].astype(int)
    wrong = np.abs(cells[0] - np.asarray(COLOURS)).max()
    assert wrong < 110, f"the image is not upright or has wrong colours: {cells[0].tolist()}"
    bits = cells[1:].mean(axis=2).reshape(BITS) > 127
    return int(np.sum(bits * 2 ** np.arange(BITS)))


def _bits(number: int) -> NDArray[np.int64]:
    return (number >> np.arange(BITS)) & 1


def _centres(length: int) -> NDArray[np.int64]:
    return (np.arange(4) * 2 + 1) * length // 8


def numbered_frames(count: int, size: tuple[int, int]) -> Iterator[VideoFrame]:
    """Frames numbered 0, 1, 2 ... of a width and height."""
    for number in range(count):
        yield VideoFrame.from_ndarray(numbered_image(number, *size), format="rgb24")


def solid_frame(planes: Sequence[int], size: tuple[int, int], pixel_format: str) -> VideoFrame:
    """A frame whose planes each hold one value: a colour, stated in stored numbers (8 bits)."""
    frame = VideoFrame(*size, pixel_format)
    for plane, value in zip(frame.planes, planes, strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    return frame


def write_clip(
    path: Path,
    *,
    seconds: float = 2.0,
    fps: int = 25,
    size: tuple[int, int] = (96, 64),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    gop: int = 10,
    b_frames: int = 0,
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    times_ms: Sequence[int] | None = None,
    start_s: float = 0.0,
    rotation: int = 0,
    mirrored: bool = False,
    pixel_aspect: Fraction | None = None,
    colour_matrix: Colorspace | None = None,
    colour_range: ColorRange | None = None,
    frames: Iterable[VideoFrame] | None = None,
    sound: Tone | None = None,
) -> Path:
    """Write a clip; its container follows from the name's ending.

    Args:
        size: width and height of the stored frames, in pixels.
        gop: frames from one keyframe to the next.
        b_frames: consecutive B-frames at most.
        options: of the encoder; by default those of OPTIONS.
        times_ms: when each frame is shown, for a variable frame rate; replaces seconds and fps.
        start_s: when the first frame is shown.
        rotation: degrees counterclockwise by which a player must turn the stored frames. They
            are stored as they are given.
        mirrored: whether a player must then mirror them left to right.
        pixel_aspect: width / height of a stored pixel.
        colour_matrix: what the stream says of its colours; nothing is converted to it.
        colour_range: what the stream says of its range; nothing is converted to it.
        frames: in any pixel format; by default numbered ones.
        sound: a sound track.

    Returns:
        The path.
    """
    count = len(times_ms) if times_ms else max(1, round(seconds * fps))
    with av.open(str(path), "w", options=dict(container_options or {})) as container:
        stream = container.add_stream(codec, rate=fps)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.gop_size = gop
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.thread_count = 1
        stream.options = dict(OPTIONS.get(codec, {}) if options is None else options)
        stream.codec_context.time_base = Fraction(1, 1000 if times_ms else fps)
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if colour_matrix is not None:
            stream.codec_context.colorspace = colour_matrix
        if colour_range is not None:
            stream.codec_context.color_range = colour_range
        if rotation or mirrored:
            stream.set_display_rotation(rotation, hflip=mirrored)
        sound_stream = _add_sound_stream(container, sound) if sound else None
        # Sound first: muxers interleave, but some want to see both streams early.
        if sound and sound_stream:
            _write_sound(container, sound_stream, sound)
        for number, frame in enumerate(frames or numbered_frames(count, size)):
            shown = frame.reformat(format=pixel_format)
            shown.pts = (times_ms[number] if times_ms else number) + round(
                start_s / stream.codec_context.time_base
            )
            shown.time_base = stream.codec_context.time_base
            # The encoder alone decides on the types of its frames.
            shown.pict_type = PictureType.NONE
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))
    return path


def _add_sound_stream(container: OutputContainer, sound: Tone) -> AudioStream:
    stream = container.add_stream(sound.codec, rate=sound.rate_hz)
    assert isinstance(stream, AudioStream)
    stream.layout = sound.layout
    return stream


def _write_sound(container: OutputContainer, stream: AudioStream, sound: Tone) -> None:
    resampler = AudioResampler(stream.format, stream.layout, stream.rate, stream.frame_size or 1024)
    interleaved = np.ascontiguousarray(sound.samples().T).reshape(1, -1)
    frame = AudioFrame.from_ndarray(interleaved, format="flt", layout=sound.layout)
    frame.sample_rate = sound.rate_hz
    frame.time_base = Fraction(1, sound.rate_hz)
    frame.pts = round(sound.start_s * sound.rate_hz)
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))


def write_sound(path: Path, sound: Tone) -> Path:
    """Write a file that holds only sound."""
    with av.open(str(path), "w") as container:
        stream = _add_sound_stream(container, sound)
        _write_sound(container, stream, sound)
    return path


def write_cover_art(path: Path, sound: Tone) -> Path:
    """Write sound with a cover picture, which FFmpeg presents as a video stream."""
    with av.open(str(path), "w") as container:
        stream = _add_sound_stream(container, sound)
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height = 64, 64
        cover.pix_fmt = "rgb24"
        cover.disposition = Disposition.attached_pic
        frame = next(numbered_frames(1, (64, 64)))
        container.mux(cover.encode(frame))
        _write_sound(container, stream, sound)
    return path


def cut(source: Path, target: Path, keep: float) -> Path:
    """Copy the first part of a file, as an interrupted download does."""
    data = source.read_bytes()
    target.write_bytes(data[: round(len(data) * keep)])
    return target


def concatenate(target: Path, *sources: Path) -> Path:
    """Append the bytes of files to each other, as `cat` does: their clocks then jump."""
    target.write_bytes(b"".join(source.read_bytes() for source in sources))
    return target


def hold_last_frame(source: Path, target: Path, seconds: int) -> Path:
    """Copy a clip's pictures and let the last one claim a duration."""

    def hold(packets: list[Packet]) -> None:
        packets[-1].duration = round(seconds / packets[-1].time_base)

    return _copy_pictures(source, target, hold)


def join_streams(target: Path, *sources: Path, default: int) -> Path:
    """Copy the first stream of each file into one file; default is the number of one of them."""
    with ExitStack() as opened, av.open(str(target), "w") as output:
        inputs = [opened.enter_context(av.open(str(source))).streams[0] for source in sources]
        outputs = [output.add_stream_from_template(stream) for stream in inputs]
        for number, stream in enumerate(outputs):
            stream.disposition = Disposition.default if number == default else Disposition(0)
        for stream, copied in zip(inputs, outputs, strict=True):
            for packet in stream.container.demux(stream):
                if packet.size:
                    packet.stream = copied
                    output.mux(packet)
    return target


def claim_keyframes(source: Path, target: Path, every: int) -> Path:
    """Copy a clip's pictures and mark every so many packets as keyframes, which most are not."""

    def claim(packets: list[Packet]) -> None:
        for packet in packets[::every]:
            packet.is_keyframe = True

    return _copy_pictures(source, target, claim)


def repeat_pictures(source: Path, target: Path, times: int) -> Path:
    """Copy a clip's pictures many times after each other, with one keyframe in all.

    Every one of them must be decoded to know the last: that takes long, writing it does not.
    """
    with av.open(str(source)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        step = packets[1].pts - packets[0].pts
        with av.open(str(target), "w") as output:
            copied = output.add_stream_from_template(container.streams.video[0])
            for number in range(times * len(packets)):
                packet = packets[number % len(packets)]
                packet.pts = packet.dts = number * step
                packet.is_keyframe = number == 0
                packet.stream = copied
                output.mux(packet)
    return target


def repeat(source: Path, target: Path, times: int) -> Path:
    """Copy a clip many times after itself."""
    with av.open(str(source)) as first, av.open(str(target), "w") as output:
        copies = [output.add_stream_from_template(stream) for stream in first.streams]
        for number in range(times):
            with av.open(str(source)) as container:
                begin_s = number * (Fraction(container.duration, av.time_base) + APART_S)
                for packet in container.demux():
                    if packet.size:
                        shift = round(begin_s / packet.time_base)
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = copies[packet.stream.index]
                        output.mux(packet)
    return target


def _copy_pictures(source: Path, target: Path, change: Callable[[list[Packet]], None]) -> Path:
    with av.open(str(source)) as container, av.open(str(target), "w") as output:
        stream = container.streams.video[0]
        copied = output.add_stream_from_template(stream)
        packets = [packet for packet in container.demux(stream) if packet.size]
        change(packets)
        for packet in packets:
            packet.stream = copied
            output.mux(packet)
    return target


def damage(source: Path, target: Path, kind: str, number: int) -> Path:
    """Copy a file with one packet's data overwritten.

    Args:
        kind: "video" or "audio": the stream.
        number: which of its packets, in the order of the file.
    """
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        packets = [p for p in container.demux(**{kind: 0}) if p.size]
        position, size = packets[number].pos, packets[number].size
    assert position is not None
    data[position + 4 : position + size] = b"\xff" * (size - 4)
    target.write_bytes(data)
    return target
