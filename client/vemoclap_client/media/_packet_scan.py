"""One pass over a video stream's packets, which gathers when they are shown; decodes none."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from fractions import Fraction

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from vemoclap_client.media.container import read_packets

CLOCK_RESET_S = 10
"""Presentation times that step back further than this were restarted: they cannot be used."""

BROADCAST_FORMATS = ("mpegts", "mpeg")
"""Containers without an index: recordings in them get appended to each other as they are."""

BROADCAST_STEP_BACK_S = 0.5
"""In those, decoding times never step back, but FFmpeg's guesses may be off by a few frames."""

BROADCAST_STEP_FORWARD_S = 10
"""In those, a longer step is a jump to another recording's clock."""


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


@dataclass
class PacketScan:
    """What is known of the packets added so far. Times are in ticks, see VideoIndex."""

    reset_ticks: int
    """Presentation times that step back further do not belong to one clock."""
    steps_ticks: tuple[int, int] | None
    """Neither do decoding times that step outside these; None: any do."""
    times: array[int] = field(default_factory=lambda: array("q"))
    decoding_times: array[int] = field(default_factory=lambda: array("q"))
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
    encrypted: bool = False

    def add(self, packet: Packet[Stream]) -> None:
        order, ticks = self.count, packet.pts
        self.count += 1
        self.encrypted = self.encrypted or packet.has_sidedata("encryption_info")
        self.clock_jumps = self.clock_jumps or self._is_jump(packet)
        if packet.dts is not None:
            self.decoding_times.append(packet.dts)
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


def scan_packets(container: InputContainer, stream: VideoStream) -> PacketScan:
    scan = _begin(container, stream)
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


def _begin(container: InputContainer, stream: VideoStream) -> PacketScan:
    unit_s = time_base(stream)
    steps_ticks = None
    if container.format.name in BROADCAST_FORMATS:
        back, forward = BROADCAST_STEP_BACK_S, BROADCAST_STEP_FORWARD_S
        steps_ticks = (-round(back / unit_s), round(forward / unit_s))
    return PacketScan(reset_ticks=round(CLOCK_RESET_S / unit_s), steps_ticks=steps_ticks)


def time_base(stream: VideoStream) -> Fraction:
    return stream.time_base or Fraction(1, 1)
