"""Reads a video stream's packets, without decoding any, to know where its frames lie in time.

Reading packets costs about a hundredth of decoding them (one hour of 1080p in a second), no
more than reading the file's sound does, and answers what headers often get wrong: when the
pictures begin and really end, which frames can be decoded on their own.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import floor

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from vemoclap_client.media.container import read_packets

DEFAULT_FRAME_RATE = Fraction(25)
"""Assumed, as FFmpeg does, where a stream of bare pictures states no rate."""

CLOCK_RESET_S = 10
"""Presentation times that step back further than this were restarted: they cannot be used."""

BROADCAST_FORMATS = ("mpegts", "mpeg")
"""Containers without an index: recordings in them get appended to each other as they are."""

BROADCAST_STEP_BACK_S = 0.5
"""In those, decoding times never step back, but FFmpeg's guesses may be off by a few frames."""

BROADCAST_STEP_FORWARD_S = 10
"""In those, a longer step is a jump to another recording's clock."""

LAST_FRAME_MAX_S = 10
"""A last frame is believed to be held for this long, as at the end of animations."""

LAST_FRAME_MAX_FRAMES = 8
"""It is also believed to be shown this many times as long as the mean frame."""

MISSING_END_S = 0.5
"""A header may overstate the duration by this much before it is worth a warning."""


@dataclass(frozen=True)
class Keyframe:
    """A packet at which decoding can begin."""

    ticks: int
    """Presentation time in units of the index's time_base."""
    decoding_ticks: int | None
    """Decoding time in the same units; many containers seek by it."""
    order: int
    """How many packets of the stream precede it in the file."""
    hidden: bool = False
    """Whether an edit list hides its frame: it is decoded, but not shown."""


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


@dataclass
class _Scan:
    """What is gathered while the packets pass by."""

    reset_ticks: int
    """Presentation times that step back further do not belong to one clock."""
    steps_ticks: tuple[int, int] | None
    """Neither do decoding times that step outside these; None: any do."""
    times: array[int] = field(default_factory=lambda: array("q"))
    keyframes: list[Keyframe] = field(default_factory=list)
    count: int = 0
    first_keyframe_ticks: int | None = None
    latest: int | None = None
    latest_duration: int = 0
    timed: bool = True
    clock_jumps: bool = False
    cut_ticks: int | None = None
    previous_decoding_ticks: int | None = None
    sound_end_s: Fraction = Fraction(0)

    def add(self, packet: Packet[Stream]) -> None:
        order, ticks = self.count, packet.pts
        self.count += 1
        self.clock_jumps = self.clock_jumps or self._is_jump(packet)
        if ticks is None or self.clock_jumps:
            self.timed = False
            return
        if packet.is_keyframe:
            self._add_keyframe(packet, ticks, order)
        # What an edit list hides is decoded, but not shown.
        if not packet.is_discard:
            self.times.append(ticks)
        if self.latest is None or ticks > self.latest:
            self.latest, self.latest_duration = ticks, packet.duration or 0

    def add_last(self, packet: Packet[Stream]) -> None:
        if packet.is_corrupt and self.count:
            self.cut_ticks = packet.pts
        else:
            self.add(packet)

    def add_sound(self, packet: Packet[Stream]) -> None:
        if packet.pts is not None:
            end_s = (packet.pts + (packet.duration or 0)) * packet.time_base
            self.sound_end_s = max(self.sound_end_s, end_s)

    def _is_jump(self, packet: Packet[Stream]) -> bool:
        """Whether a packet's times are on another clock than those before."""
        previous, self.previous_decoding_ticks = self.previous_decoding_ticks, packet.dts
        if self.steps_ticks and previous is not None and packet.dts is not None:
            least, most = self.steps_ticks
            if not least <= packet.dts - previous <= most:
                return True
        if packet.pts is None or self.latest is None:
            return False
        return packet.pts < self.latest - self.reset_ticks

    def _add_keyframe(self, packet: Packet[Stream], ticks: int, order: int) -> None:
        if self.first_keyframe_ticks is None:
            self.first_keyframe_ticks = ticks
        # A frame that is shown later but stored earlier would be missed from here. Nothing is
        # missed from the file's first packet, so that one may be hidden.
        is_clean = self.latest is None or ticks > self.latest
        if is_clean and (order == 0 or not packet.is_discard):
            self.keyframes.append(Keyframe(ticks, packet.dts, order, packet.is_discard))


def index_video(container: InputContainer, stream: VideoStream) -> VideoIndex | None:
    """Read the stream's packets to the end of the file; None if there are none.

    The container is left at its end.
    """
    scan = _scan(container, stream)
    if scan.count == 0:
        return None
    if not scan.timed or not scan.times or _lacks_display_order(container, stream, scan):
        return _untimed_index(stream, scan)
    return _timed_index(container, stream, scan)


def _scan(container: InputContainer, stream: VideoStream) -> _Scan:
    scan = _begin_scan(container, stream)
    # The sound matters only to a header that states one duration for all.
    sound = container.streams.audio if stream.duration is None else ()
    held: Packet[Stream] | None = None
    for packet in read_packets(container, stream, *sound):
        if packet.stream_index != stream.index:
            scan.add_sound(packet)
            continue
        if held is not None:
            scan.add(held)
        held = packet
    if held is not None:
        scan.add_last(held)
    return scan


def _begin_scan(container: InputContainer, stream: VideoStream) -> _Scan:
    time_base = _time_base(stream)
    steps_ticks = None
    if container.format.name in BROADCAST_FORMATS:
        back, forward = BROADCAST_STEP_BACK_S, BROADCAST_STEP_FORWARD_S
        steps_ticks = (-round(back / time_base), round(forward / time_base))
    return _Scan(reset_ticks=round(CLOCK_RESET_S / time_base), steps_ticks=steps_ticks)


def _lacks_display_order(container: InputContainer, stream: VideoStream, scan: _Scan) -> bool:
    """Whether presentation times were only made up, in the order of decoding.

    AVI stores none. FFmpeg can make them up where it understands the codec's B-frames.
    """
    if container.format.name != "avi" or not stream.codec_context.has_b_frames:
        return False
    return all(earlier < later for earlier, later in pairwise(scan.times))


def _timed_index(container: InputContainer, stream: VideoStream, scan: _Scan) -> VideoIndex:
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
        time_base=_time_base(stream),
        start=start,
        end=end,
        timed=True,
        keyframes=tuple(scan.keyframes),
        cut_ticks=scan.cut_ticks,
        # The header repeats what the last frame claims.
        missing_s=0.0 if last_frame_s else missing_s,
        last_frame_s=last_frame_s,
    )


def _absurd_s(last_duration: Fraction, stream: VideoStream, times: array[int]) -> float:
    """How long the last frame is shown, seconds, if that is not to be believed; else 0."""
    last_s = last_duration * _time_base(stream)
    mean_s = _frame_ticks(stream, times) * _time_base(stream)
    believed_s = max(Fraction(LAST_FRAME_MAX_S), LAST_FRAME_MAX_FRAMES * mean_s)
    return float(last_s) if last_s > believed_s else 0.0


def _untimed_index(stream: VideoStream, scan: _Scan) -> VideoIndex:
    return VideoIndex(
        time_base=1 / _frame_rate(stream),
        start=0,
        end=Fraction(scan.count),
        timed=False,
        keyframes=(),
        cut_ticks=None,
        missing_s=0.0,
        clock_jumps=scan.clock_jumps,
    )


def _time_base(stream: VideoStream) -> Fraction:
    return stream.time_base or Fraction(1, 1)


def _frame_rate(stream: VideoStream) -> Fraction:
    return stream.average_rate or stream.guessed_rate or DEFAULT_FRAME_RATE


def _frame_ticks(stream: VideoStream, times: array[int]) -> Fraction:
    """How long a frame is shown on average, in ticks."""
    if len(times) > 1 and times[-1] > times[0]:
        return Fraction(times[-1] - times[0], len(times) - 1)
    return 1 / (_frame_rate(stream) * _time_base(stream))


def _missing_s(
    container: InputContainer,
    stream: VideoStream,
    first: int,
    end: Fraction,
    sound_end_s: Fraction,
) -> float:
    """By how much the header overstates the duration; 0 if by little or if it states none."""
    time_base = _time_base(stream)
    if stream.duration is not None:
        missing_s = (stream.duration - (end - first)) * time_base
    elif container.duration is not None:
        # Of the whole file: counted from its first moment or, in some containers, from zero.
        end_s = max(end * time_base, sound_end_s)
        start_s = Fraction(container.start_time or 0, av.time_base)
        missing_s = Fraction(container.duration, av.time_base) - max(end_s, end_s - start_s)
    else:
        return 0.0
    return float(missing_s) if missing_s > MISSING_END_S else 0.0
