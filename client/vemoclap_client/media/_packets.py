"""Reads a video stream's packets, without decoding any, to know where its frames lie in time.

Reading packets costs about a hundredth of decoding them (one hour of 1080p in a second), no
more than reading the file's sound does, and answers what headers often get wrong: when the
pictures begin and really end, which frames can be decoded on their own.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import cast

import av
from av.container import InputContainer
from av.format import Flags
from av.video.stream import VideoStream

from vemoclap_client.media._packet_scan import Keyframe, PacketScan, scan_packets, time_base

DEFAULT_FRAME_RATE = Fraction(25)
"""Assumed, as FFmpeg does, where a stream of bare pictures states no rate."""

LAST_FRAME_MAX_S = 10
"""A last frame is believed to be held for this long, as at the end of animations."""

LAST_FRAME_MAX_FRAMES = 8
"""It is also believed to be shown this many times as long as the mean frame."""

MISSING_END_S = 0.5
"""A header may overstate the duration by this much before it is worth a warning."""


@dataclass(frozen=True)
class VideoIndex:
    """When a video stream's frames are shown, in ticks of time_base seconds.

    start is when the first frame is shown, not counting what comes before the first keyframe,
    for that cannot be decoded. end is when the last frame stops being shown: its presentation
    time plus its own duration or, where the file states none, the mean distance of frames.

    If timed is False the file gives no usable presentation times: then frames follow each
    other at the stream's nominal rate, a tick is one frame, and start is 0.
    """

    time_base: Fraction
    start: int
    end: Fraction
    timed: bool
    keyframes: tuple[Keyframe, ...]
    """Those at which decoding can begin, ascending; empty if not timed."""
    cut_ticks: int | None
    """Presentation time of a last packet of which only a part is there: not to be decoded."""
    missing_s: float
    """By how much the header overstates the duration, seconds."""
    clock_jumps: bool = False
    """Whether the file has presentation times, but not all on one clock; not timed then."""
    last_frame_s: float = 0.0
    """How long the last frame claims to be shown if that is absurd, seconds; else 0."""
    shown_ticks: array[int] = field(default_factory=lambda: array("q"))
    """When the frames are shown, in order, where the file has those times but not which frame each
    belongs to; not timed then, and a tick is time_base seconds."""
    encrypted: bool = False
    states_rate: bool = True
    """False of a stream of bare pictures without a rate: DEFAULT_FRAME_RATE was assumed."""

    @property
    def duration_s(self) -> Fraction:
        """Seconds from the first frame to the end of the last one."""
        return (self.end - self.start) * self.time_base

    @property
    def start_s(self) -> Fraction | None:
        """The first frame's presentation time on the file's own clock, seconds.

        None if not timed: then start is no time on that clock.
        """
        return self.start * self.time_base if self.timed else None

    @property
    def end_s(self) -> Fraction | None:
        """When the last frame ends on the file's own clock, seconds; None if not timed."""
        return self.end * self.time_base if self.timed else None

    def ticks_at(self, time_s: Fraction) -> Fraction:
        """The ticks of a time in seconds from the clip's start."""
        return self.start + time_s / self.time_base

    def seconds_at(self, ticks: int) -> float:
        """Seconds from the clip's start."""
        return float((ticks - self.start) * self.time_base)

    def keyframe_before(self, ticks: Fraction) -> Keyframe | None:
        """The last keyframe at or before a time, if there is one."""
        number = bisect_right(self.keyframes, floor(ticks), key=lambda keyframe: keyframe.ticks)
        return self.keyframes[number - 1] if number else None


def index_video(container: InputContainer, stream: VideoStream) -> VideoIndex | None:
    """Read the stream's packets to the end of the file; None if there are none.

    The container is left at its end.
    """
    scan = scan_packets(container, stream)
    if scan.count == 0:
        return None
    return replace(_index(container, stream, scan), states_rate=_states_rate(container, stream))


def _index(container: InputContainer, stream: VideoStream, scan: PacketScan) -> VideoIndex:
    if not scan.timed or not scan.times:
        return _untimed_index(stream, scan)
    if _lacks_display_order(container, stream, scan):
        return _unordered_index(stream, scan)
    return _timed_index(container, stream, scan)


def _lacks_display_order(container: InputContainer, stream: VideoStream, scan: PacketScan) -> bool:
    """Whether presentation times were only made up, in the order of decoding.

    AVI stores none. FFmpeg can make them up where it understands the codec's B-frames.
    """
    if container.format.name != "avi" or not stream.codec_context.has_b_frames:
        return False
    return all(earlier < later for earlier, later in pairwise(scan.times))


def _timed_index(container: InputContainer, stream: VideoStream, scan: PacketScan) -> VideoIndex:
    times = array("q", sorted(scan.times))
    first_keyframe = scan.first_keyframe_ticks
    first_shown = 0 if first_keyframe is None else bisect_left(times, first_keyframe)
    start = times[first_shown] if first_shown < len(times) else times[0]
    last_duration = Fraction(scan.latest_duration if scan.latest == times[-1] else 0)
    last_frame_s = _absurd_s(last_duration, stream, times)
    if last_frame_s or not last_duration:
        last_duration = _frame_ticks(stream, times)
    end = times[-1] + last_duration
    missing_s = _missing_s(container, stream, times[0], end, scan.sound_end_s)
    return VideoIndex(
        time_base=time_base(stream),
        start=start,
        end=end,
        timed=True,
        keyframes=tuple(scan.keyframes),
        cut_ticks=scan.cut_ticks,
        # The header repeats what the last frame claims.
        missing_s=0.0 if last_frame_s else missing_s,
        last_frame_s=last_frame_s,
        encrypted=scan.encrypted,
    )


def _absurd_s(last_duration: Fraction, stream: VideoStream, times: array[int]) -> float:
    """How long the last frame is shown, seconds, if that is not to be believed; else 0."""
    last_s = last_duration * time_base(stream)
    mean_s = _frame_ticks(stream, times) * time_base(stream)
    believed_s = max(Fraction(LAST_FRAME_MAX_S), LAST_FRAME_MAX_FRAMES * mean_s)
    return float(last_s) if last_s > believed_s else 0.0


def _untimed_index(stream: VideoStream, scan: PacketScan) -> VideoIndex:
    return VideoIndex(
        time_base=1 / (_frame_rate(stream) if scan.clock_jumps else _stated_rate(stream)),
        start=0,
        end=Fraction(scan.count),
        timed=False,
        keyframes=(),
        cut_ticks=None,
        missing_s=0.0,
        clock_jumps=scan.clock_jumps,
        encrypted=scan.encrypted,
    )


def _unordered_index(stream: VideoStream, scan: PacketScan) -> VideoIndex:
    """Of a file that has a time for each frame, but in the order of decoding."""
    times = scan.decoding_times
    return VideoIndex(
        time_base=time_base(stream),
        start=times[0],
        end=times[-1] + _frame_ticks(stream, times),
        timed=False,
        keyframes=(),
        cut_ticks=None,
        missing_s=0.0,
        shown_ticks=times,
        encrypted=scan.encrypted,
    )


def _states_rate(container: InputContainer, stream: VideoStream) -> bool:
    """Whether times come from the file: a container's, or a rate in the stream itself."""
    # PyAV's types take the flag's number for a flag.
    is_bare = container.format.flags & cast(int, Flags.no_timestamps.value)
    return not is_bare or bool(stream.codec_context.framerate)


def _frame_rate(stream: VideoStream) -> Fraction:
    return stream.average_rate or stream.guessed_rate or DEFAULT_FRAME_RATE


def _stated_rate(stream: VideoStream) -> Fraction:
    """The rate that a raw stream states; the average of its packets is one that FFmpeg made up."""
    return stream.codec_context.framerate or _frame_rate(stream)


def _frame_ticks(stream: VideoStream, times: array[int]) -> Fraction:
    """How long a frame is shown on average, in ticks."""
    if len(times) > 1 and times[-1] > times[0]:
        return Fraction(times[-1] - times[0], len(times) - 1)
    return 1 / (_frame_rate(stream) * time_base(stream))


def _missing_s(
    container: InputContainer,
    stream: VideoStream,
    first: int,
    end: Fraction,
    sound_end_s: Fraction,
) -> float:
    """By how much the header overstates the duration; 0 if by little or if it states none."""
    unit_s = time_base(stream)
    if stream.duration is not None:
        missing_s = (stream.duration - (end - first)) * unit_s
    elif container.duration is not None:
        # Of the whole file: counted from its first moment or, in some containers, from zero.
        end_s = max(end * unit_s, sound_end_s)
        start_s = Fraction(container.start_time or 0, av.time_base)
        missing_s = Fraction(container.duration, av.time_base) - max(end_s, end_s - start_s)
    else:
        return 0.0
    return float(missing_s) if missing_s > MISSING_END_S else 0.0
