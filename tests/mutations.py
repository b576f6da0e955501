"""Damaged and malicious files, made from small good ones. The same seed gives the same bytes.

`mutated` gives a container's files in a fixed order: each kind of damage in turn, with a generator
of random numbers whose seed is the container, the kind and the file's number. So a file that
fails can be made again alone, and a new kind changes no other file. `bombs` are few and made by
hand: files that claim, in a few bytes, to be much.
"""

import random
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
from av.video.stream import VideoStream

from tests.clips import Tone, numbered_frames, write_clip

SIZE = (96, 64)
HEADER_BYTES = 1500
"""At both ends, where containers keep what says how the rest is to be read."""

LIES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 2**31 - 1, 2**31, 2**32 - 1, 2**64 - 1)
"""Numbers that counts, sizes, rates and times are not."""


@dataclass(frozen=True)
class Container:
    """A kind of file.

    Attributes:
        suffix: of its name.
        codec: of its pictures.
        sound: codec of its sound.
        tags: bytes before numbers that matter: names of boxes and chunks, numbers of elements.
    """

    suffix: str
    codec: str
    sound: str
    tags: tuple[bytes, ...]
    rate_hz: int = 44_100
    pixel_format: str = "yuv420p"


BOXES = (
    b"ftyp moov mvhd trak tkhd mdia mdhd hdlr minf stbl stsd avc1 avcC mp4v mp4a esds stts stss "
    b"stsc stsz stco ctts edts elst mdat udta meta vmhd smhd dinf pasp colr"
).split()
ELEMENTS = (
    b"\x1a\x45\xdf\xa3 \x18\x53\x80\x67 \x15\x49\xa9\x66 \x2a\xd7\xb1 \x44\x89 \x16\x54\xae\x6b "
    b"\xae \x83 \x86 \x63\xa2 \xe0 \xb0 \xba \x54\xb0 \xe1 \xb5 \x9f \x1f\x43\xb6\x75 \xe7 \xa3 "
    b"\xa0 \xa1 \x9b \x1c\x53\xbb\x6b \xbb \xb3 \xb7 \xf1 \x11\x4d\x9b\x74 \x23\xe3\x83"
).split(b" ")
CHUNKS = b"RIFF AVI LIST hdrl avih strl strh strf vids auds movi 00dc 01wb idx1 indx odml".split()
ASF = (
    b"\x30\x26\xb2\x75 \xa1\xdc\xab\x8c \x91\x07\xdc\xb7 \xb5\x03\xbf\x5f \x36\x26\xb2\x75 "
    b"\xc0\xef\x19\xbc \x40\x9e\x69\xf8"
).split(b" ")
SCRIPT = b"FLV onMetaData duration width height framerate audiosamplerate filesize".split()

CONTAINERS = {
    container.suffix: container
    for container in (
        Container("mp4", "libx264", "aac", tuple(BOXES)),
        Container("mov", "mpeg4", "pcm_s16le", tuple(BOXES)),
        Container("3gp", "mpeg4", "aac", tuple(BOXES)),
        Container("mkv", "libx265", "flac", tuple(ELEMENTS)),
        Container("webm", "libvpx-vp9", "libopus", tuple(ELEMENTS), 48_000),
        Container("avi", "mjpeg", "mp3", tuple(CHUNKS), pixel_format="yuvj420p"),
        Container("ts", "mpeg2video", "mp2", (b"\x47\x40", b"\x00\x00\x01", b"\x47\x01")),
        Container("flv", "flv", "mp3", tuple(SCRIPT)),
        Container("ogg", "libvpx", "libopus", (b"OggS", b"OVP80", b"OpusHead"), 48_000),
        Container("wmv", "wmv2", "mp3", tuple(ASF)),
    )
}


def write_good(container: Container, folder: Path) -> Path:
    """A good file of a second."""
    sound = Tone(seconds=1.0, rate_hz=container.rate_hz, codec=container.sound)
    return write_clip(
        folder / f"good.{container.suffix}",
        seconds=1.0,
        size=SIZE,
        codec=container.codec,
        pixel_format=container.pixel_format,
        sound=sound,
    )


Mutation = Callable[[bytearray, random.Random, Container], bytes | bytearray]


def flip_bits(data: bytearray, chance: random.Random, _: Container) -> bytearray:
    """Few bits or many, anywhere."""
    for _number in range(2 ** chance.randrange(0, 9)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return data


def flip_header_bits(data: bytearray, chance: random.Random, _: Container) -> bytearray:
    """Some bits of the beginning and the end."""
    for _number in range(2 ** chance.randrange(0, 6)):
        place = chance.randrange(min(HEADER_BYTES, len(data)))
        data[chance.choice((place, -1 - place))] ^= 1 << chance.randrange(8)
    return data


def cut_end(data: bytearray, chance: random.Random, _: Container) -> bytearray:
    """As of an interrupted download."""
    return data[: chance.randrange(len(data))]


def cut_beginning(data: bytearray, chance: random.Random, _: Container) -> bytearray:
    """As of a recording that was joined in the middle."""
    return data[chance.randrange(len(data)) :]


def overwrite(data: bytearray, chance: random.Random, _: Container) -> bytearray:
    """A run of zeros, of ones, of noise."""
    first, end = _run(data, chance)
    fill = chance.choice((b"\0", b"\xff", chance.randbytes(1), None))
    data[first:end] = fill * (end - first) if fill else chance.randbytes(end - first)
    return data


def swap_runs(data: bytearray, chance: random.Random, _: Container) -> bytes:
    """Two runs that follow each other, anywhere."""
    first, second, end = sorted(chance.randrange(len(data)) for _ in range(3))
    return data[:first] + data[second:end] + data[first:second] + data[end:]


def swap_chunks(data: bytearray, chance: random.Random, container: Container) -> bytes:
    """Two boxes, chunks or elements, from one tag to the next; or one twice, or none."""
    tags = _tags(data, container)
    ends = dict(zip(tags, [*tags[1:], len(data)], strict=True))
    one, other = sorted(chance.sample(tags, 2)) if len(tags) > 1 else (0, len(data) // 2)
    first, second = data[one : ends.get(one, other)], data[other : ends.get(other, len(data))]
    between = data[one + len(first) : other]
    new = chance.choice(((second, first), (first, first), (b"", second), (second, b"")))
    return data[:one] + new[0] + between + new[1] + data[other + len(second) :]


def insert(data: bytearray, chance: random.Random, _: Container) -> bytes:
    """A run of the file once more, elsewhere, or noise."""
    first, end = _run(data, chance)
    place = chance.randrange(len(data))
    new = chance.choice((bytes(data[first:end]), chance.randbytes(end - first)))
    return data[:place] + new + data[place:]


def remove(data: bytearray, chance: random.Random, _: Container) -> bytes:
    """A run is missing."""
    first, end = _run(data, chance)
    return data[:first] + data[end:]


def lie(data: bytearray, chance: random.Random, container: Container) -> bytearray:
    """Numbers after tags: sizes, counts, dimensions, durations, rates, times."""
    tags = _tags(data, container)
    for _number in range(chance.randrange(1, 5)):
        tag = chance.choice(tags) if tags else chance.randrange(len(data))
        # The number before a box's name is its size.
        place = max(0, tag + chance.randrange(-4, 48))
        _write_lie(data, place, chance)
    return data


def lie_in_header(data: bytearray, chance: random.Random, _: Container) -> bytearray:
    """Numbers anywhere at the beginning and the end."""
    for _number in range(chance.randrange(1, 9)):
        place = chance.randrange(min(HEADER_BYTES, len(data)))
        _write_lie(data, chance.choice((place, len(data) - 1 - place)), chance)
    return data


def _write_lie(data: bytearray, place: int, chance: random.Random) -> None:
    size = chance.choice((1, 2, 4, 4, 4, 8))
    number = chance.choice(LIES) % 256**size
    new = number.to_bytes(size, chance.choice(("big", "little")))
    data[place : place + size] = new[: len(data) - place]


def _run(data: bytearray, chance: random.Random) -> tuple[int, int]:
    first = chance.randrange(len(data))
    return first, min(len(data), first + 2 ** chance.randrange(0, 13))


def _tags(data: bytearray, container: Container) -> list[int]:
    """Where tags begin. A short one is also found in the midst of pictures, which does no harm."""
    places = set()
    for tag in container.tags:
        place = data.find(tag)
        while place >= 0 and len(places) < 2000:
            places.add(place)
            place = data.find(tag, place + 1)
    return sorted(places)


MUTATIONS: dict[str, Mutation] = {
    mutation.__name__: mutation
    for mutation in (
        flip_bits,
        flip_header_bits,
        cut_end,
        cut_beginning,
        overwrite,
        swap_runs,
        swap_chunks,
        insert,
        remove,
        lie,
        lie_in_header,
    )
}


def mutated(
    container: Container, good: Path, folder: Path, each: int, first: int = 0
) -> Iterator[Path]:
    """Writes files of every kind of damage, `each` of a kind, numbered from `first`."""
    data = good.read_bytes()
    for name, mutation in MUTATIONS.items():
        for number in range(first, first + each):
            chance = random.Random(f"{container.suffix} {name} {number}")
            path = folder / f"{name}-{number}.{container.suffix}"
            path.write_bytes(mutation(bytearray(data), chance, container))
            yield path


def _box(kind: bytes, *content: bytes) -> bytes:
    data = b"".join(content)
    return struct.pack(">I4s", 8 + len(data), kind) + data


def nested_boxes(path: Path, good: Path, depth: int) -> None:
    """Boxes in boxes in boxes."""
    inner = b""
    for _ in range(depth):
        inner = _box(b"moov", inner)
    path.write_bytes(_box(b"ftyp", b"isom\0\0\2\0isom") + inner + good.read_bytes())


def many_tracks(path: Path, good: Path, count: int) -> None:
    """One track of a good MP4, many times."""
    data = good.read_bytes()
    movie = data.index(b"moov") - 4
    size = int.from_bytes(data[movie : movie + 4], "big")
    track = data.index(b"trak", movie) - 4
    end = track + int.from_bytes(data[track : track + 4], "big")
    header = data[movie + 8 : track]
    tracks = data[track:end] * count
    path.write_bytes(data[:movie] + _box(b"moov", header, tracks) + data[movie + size :])


def many_streams(path: Path, _: Path, count: int) -> None:
    """A Matroska file of many streams of pictures, all empty but the first."""
    with av.open(str(path), "w") as output:
        streams = [output.add_stream("mpeg4", rate=25) for _number in range(count)]
        for stream in streams:
            assert isinstance(stream, VideoStream)
            stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for frame in numbered_frames(3, SIZE):
            for packet in streams[0].encode(frame.reformat(format="yuv420p")):
                output.mux(packet)


def lying_box(path: Path, good: Path, box: bytes, offset: int, numbers: tuple[int, ...]) -> None:
    """Numbers of 32 bits in a box of a good MP4, so far behind its name."""
    data = bytearray(good.read_bytes())
    place = data.index(box) + len(box) + offset
    data[place : place + 4 * len(numbers)] = struct.pack(f">{len(numbers)}I", *numbers)
    path.write_bytes(data)


def gigantic(path: Path, good: Path, marker: bytes, offset: int, side: bytes) -> None:
    """Width and height behind each of a codec's markers, as large as they can be said."""
    data = bytearray(good.read_bytes())
    place = data.find(marker)
    while place >= 0:
        start = place + len(marker) + offset
        data[start : start + 2 * len(side)] = side * 2
        place = data.find(marker, place + 1)
    path.write_bytes(data)


def far_times(path: Path, _: Path, seconds: int, codec: str = "mpeg4") -> None:
    """Three pictures, so far from each other."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        packets = [
            packet
            for frame in numbered_frames(3, SIZE)
            for packet in stream.encode(frame.reformat(format="yuv420p"))
        ]
        packets += stream.encode(None)
        for number, packet in enumerate(packets):
            packet.pts = packet.dts = round(number * seconds / packet.time_base)
            output.mux(packet)


def many_pictures(path: Path, _: Path, count: int) -> None:
    """A raw stream of the smallest pictures: each one is a packet."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
        frame = next(numbered_frames(1, (16, 16))).reformat(format="yuvj420p")
        (packet,) = stream.encode(frame)
    path.write_bytes(bytes(packet) * count)


def large_picture(path: Path, _: Path, size: tuple[int, int]) -> None:
    """Pictures as large as is allowed, of one colour: a few bytes each."""
    write_clip(path, seconds=0.2, size=size, codec="gif", pixel_format="gray", frames=None)


def odd_shape(path: Path, _: Path, aspect: Fraction) -> None:
    """Pixels that are not square at all."""
    write_clip(path, seconds=0.4, codec="mpeg4", pixel_aspect=aspect)


Bomb = Callable[[Path, Path], None]
FAR_S = 2**31 // 1000

BOMBS: dict[str, Bomb] = {
    "nested-1000.mp4": partial(nested_boxes, depth=1000),
    "nested-100000.mp4": partial(nested_boxes, depth=100_000),
    "tracks-900.mp4": partial(many_tracks, count=900),
    "tracks-5000.mp4": partial(many_tracks, count=5000),
    "streams-900.mkv": partial(many_streams, count=900),
    "times-to-sample.mp4": partial(lying_box, box=b"stts", offset=4, numbers=(1, 2**31 - 1, 1)),
    "times-far.mp4": partial(lying_box, box=b"stts", offset=4, numbers=(1, 25, 2**31 - 1)),
    "sizes.mp4": partial(lying_box, box=b"stsz", offset=4, numbers=(1, 2**31 - 1)),
    "sizes-one.mp4": partial(lying_box, box=b"stsz", offset=4, numbers=(1, 10**8)),
    "chunks.mp4": partial(lying_box, box=b"stsc", offset=4, numbers=(1, 1, 2**31 - 1, 1)),
    "both.mp4": partial(lying_box, box=b"stsz", offset=4, numbers=(1, 2**27)),
    "edits.mp4": partial(lying_box, box=b"elst", offset=4, numbers=(2**31 - 1, 2**31 - 1)),
    "duration.mp4": partial(lying_box, box=b"mdhd", offset=12, numbers=(1, 2**32 - 1)),
    "timescale.mp4": partial(lying_box, box=b"mdhd", offset=12, numbers=(2**31 - 1, 1)),
    "dimensions.mp4": partial(lying_box, box=b"avc1", offset=24, numbers=(2**32 - 1,)),
    "gigantic.avi": partial(gigantic, marker=b"\xff\xc0\x00\x11\x08", offset=0, side=b"\xff\xf0"),
    "gigantic.ogg": partial(gigantic, marker=b"\x9d\x01\x2a", offset=0, side=b"\xff\x3f"),
    "far.mkv": partial(far_times, seconds=FAR_S),
    "far.mp4": partial(far_times, seconds=40_000),
    "far.nut": partial(far_times, seconds=10**9),
    "far.flv": partial(far_times, seconds=10**6, codec="flv"),
    "far.ts": partial(far_times, seconds=9, codec="mpeg2video"),
    "pictures.mjpeg": partial(many_pictures, count=2_000),
    "large.gif": partial(large_picture, size=(7680, 4320)),
    "wide.mkv": partial(odd_shape, aspect=Fraction(65_535, 1)),
    "high.mkv": partial(odd_shape, aspect=Fraction(1, 65_535)),
}
"""Name -> what writes it; it gets a good MP4, or a good file of its own suffix."""


def bombs(folder: Path, good: dict[str, Path], names: Iterable[str]) -> Iterator[Path]:
    """Writes the bombs of these names."""
    for name in names:
        path = folder / name
        BOMBS[name](path, good.get(path.suffix[1:], good["mp4"]))
        yield path
