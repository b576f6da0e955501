"""Finds the frames nearest to given times, decoding little more than those.

Every frame is the very one that decoding the whole file would give. Decoding starts anew at
the keyframe before a time, unless the decoder is past that keyframe already. What cannot be
trusted to decode the same from there (a keyframe that is not purely intra-coded, a damaged
frame, a container that does not find its own keyframes) is decoded from the file's start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from vemoclap_client.media._packet_scan import Keyframe
from vemoclap_client.media._packets import VideoIndex
from vemoclap_client.media.container import (
    VideoFile,
    choose_video_stream,
    read_packets,
    use_threads,
)

SEEK_BACK_S = (1, 10)
"""How much earlier to aim, in seconds, where a container overshoots a keyframe."""


class TimedFrame(NamedTuple):
    """A decoded frame and its presentation time in ticks of the index."""

    ticks: int
    frame: VideoFrame


@dataclass
class DecodingStatistics:
    """What finding the frames has cost, and what was lost on the way."""

    frames_decoded: int = 0
    seeks: int = 0
    damaged_packets: int = 0
    full_decode: bool = False
    """Whether seeking was of no use, so that the file was decoded from its start."""
    lacked_memory: bool = False
    """Whether a decoder was refused memory, or the threads that need some."""

    def note(self, error: av.FFmpegError) -> None:
        """Notes what an error of a decoder says about memory."""
        self.lacked_memory |= isinstance(error, MemoryError | BlockingIOError)


class _NotExactError(Exception):
    """From here, decoding may differ from decoding the whole file."""


def find_frames(
    container: InputContainer,
    stream: VideoStream,
    index: VideoIndex,
    targets: Sequence[Fraction],
    file: VideoFile,
    statistics: DecodingStatistics,
) -> Iterator[TimedFrame]:
    """The frame nearest to each target; of two equally near ones the earlier.

    Args:
        container: that of the stream; it is sought in, so its position does not matter.
        targets: ticks, ascending.
        file: the same file, for another container if it must be decoded from its start.
        statistics: is added to.

    Yields:
        One frame for each target, as many as there are unless no frame can be decoded at all.
    """
    found = 0
    if index.keyframes:
        try:
            for frame in _walk(_Reader(container, stream, index, statistics), targets):
                yield frame
                found += 1
        except _NotExactError:
            pass
    if found < len(targets):
        statistics.full_decode = True
        with file.open_container() as whole:
            reader = _Reader(whole, choose_video_stream(whole, file.path), index, statistics)
            reader.start()
            yield from _walk(reader, targets[found:])


def _walk(reader: _Reader, targets: Sequence[Fraction]) -> Iterator[TimedFrame]:
    before: TimedFrame | None = None
    after: TimedFrame | None = None
    for target in targets:
        if reader.aim_at(target):
            before = after = None
        while after is None or after.ticks < target:
            frame = reader.read()
            if frame is None:
                break
            before, after = after, frame
        if after is not None:
            yield _nearer(before, after, target)


def _nearer(before: TimedFrame | None, after: TimedFrame, target: Fraction) -> TimedFrame:
    if before is not None and abs(target - before.ticks) <= abs(after.ticks - target):
        return before
    return after


class _Reader:
    """Frames of one stream in order of presentation, with jumps to keyframes.

    A frame that is not shown later than the one before it, or before the clip's start, is
    left out. After a jump so is everything before the keyframe: it may need frames that were
    never decoded.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        index: VideoIndex,
        statistics: DecodingStatistics,
    ) -> None:
        self._container = container
        self._stream = stream
        self._index = index
        self._statistics = statistics
        self._packets: Iterator[Packet[Stream]] = iter(())
        self._waiting: deque[TimedFrame] = deque()
        self._keyframe: Keyframe | None = None
        self._order = -1
        self._latest: int | None = None
        self._shown = 0
        self._jumps = bool(index.keyframes)
        use_threads(stream)

    def start(self) -> None:
        """Decode from the file's first packet on, without jumps, whatever is damaged."""
        self._jumps = False
        self._packets = read_packets(self._container, self._stream)

    def aim_at(self, target: Fraction) -> bool:
        """Prepare to read the frames around a time; whether this meant a jump."""
        if not self._jumps:
            return False
        keyframe = self._index.keyframe_before(target)
        if keyframe is None:
            raise _NotExactError
        if keyframe.order <= self._order:
            return False
        self._jump(keyframe)
        return True

    def read(self) -> TimedFrame | None:
        """The next frame; None at the end."""
        while not self._waiting:
            packet = next(self._packets, None)
            if packet is not None:
                self._decode(packet)
            elif not self._flush():
                if self._keyframe is not None and self._latest is None:
                    raise _NotExactError
                return None
        return self._waiting.popleft()

    def _jump(self, keyframe: Keyframe) -> None:
        self._waiting.clear()
        self._latest = None
        self._keyframe = keyframe
        self._order = keyframe.order - 1
        self._statistics.seeks += 1
        packet = self._find(keyframe)
        if packet is None:
            raise _NotExactError
        self._decode(packet)

    def _find(self, keyframe: Keyframe) -> Packet[Stream] | None:
        """Seek to the keyframe's packet, from further and further back."""
        aims = [keyframe.ticks]
        if keyframe.decoding_ticks is not None:
            aims.append(keyframe.decoding_ticks)
        aims += [keyframe.ticks - round(s / self._index.time_base) for s in SEEK_BACK_S]
        for aim in aims:
            try:
                self._container.seek(aim, stream=self._stream)
            except av.FFmpegError:
                continue
            self._packets = read_packets(self._container, self._stream)
            for packet in self._packets:
                if packet.is_keyframe and packet.pts is not None:
                    if packet.pts == keyframe.ticks:
                        return packet
                    if packet.pts > keyframe.ticks:
                        break
        return None

    def _decode(self, packet: Packet[Stream]) -> None:
        self._order += 1
        if packet.is_corrupt and packet.pts == self._index.cut_ticks:
            return
        try:
            self._take(self._stream.codec_context.decode(packet))
        except av.FFmpegError as error:
            self._statistics.note(error)
            if self._jumps:
                raise _NotExactError from error
            self._statistics.damaged_packets += 1

    def _flush(self) -> bool:
        """Get the last frames out of the decoder; False if it has been done."""
        try:
            self._take(self._stream.codec_context.decode(None))
        except av.FFmpegError as error:
            self._statistics.note(error)
            return False
        return True

    def _take(self, frames: list[VideoFrame]) -> None:
        for frame in frames:
            self._statistics.frames_decoded += 1
            ticks = self._ticks_of(frame)
            if ticks is not None and self._is_next(ticks):
                self._check_exact(ticks, frame)
                self._latest = ticks
                self._waiting.append(TimedFrame(ticks, frame))

    def _ticks_of(self, frame: VideoFrame) -> int | None:
        if self._index.timed:
            return frame.pts if frame.pts is not None else frame.dts
        if self._index.shown_ticks:
            number, self._shown = self._shown, self._shown + 1
            return self._index.shown_ticks[min(number, len(self._index.shown_ticks) - 1)]
        return 0 if self._latest is None else self._latest + 1

    def _is_next(self, ticks: int) -> bool:
        if self._latest is not None:
            return ticks > self._latest
        earliest = self._keyframe.ticks if self._keyframe is not None else self._index.start
        return ticks >= max(earliest, self._index.start)

    def _check_exact(self, ticks: int, frame: VideoFrame) -> None:
        if not self._jumps or self._keyframe is None:
            return
        is_first = self._latest is None and not self._keyframe.hidden
        is_keyframe = ticks == self._keyframe.ticks and frame.pict_type == PictureType.I
        if frame.is_corrupt or (is_first and not is_keyframe):
            raise _NotExactError
