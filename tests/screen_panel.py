"""Reads rendered text and counts what is right: `python -m tests.screen_panel [--lines 360]`.

Needs the exported embedded profile and the samples (make export samples). The tables in
docs/files.md come from here. `--lines` is the shorter side that clips are scaled to.
"""

import argparse
import asyncio
import difflib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from export.weights import fetch_all
from server.slots import text_lines
from server.slots.reading import DetectedLine, TextReader
from server.slots.slot import CPU
from tests.benchmark.in_process import InProcess
from tests.benchmark.networks import OnnxNetworks
from tests.clips import write_clip
from vemoclap_client.contract import FRAME_COUNT
from vemoclap_client.media import _scaling
from vemoclap_client.media.video import decode_frames

PROJECT = Path(__file__).parents[1]
FRAMES_PER_S = 2
MATCH = 0.6
"""Share of equal characters from which a line that was read counts as a reading of a true one."""
WHITE, YELLOW = "#ffffff", "#ffe14d"

TALK = (
    "I never wanted you to leave.",
    "What a wonderful surprise!",
    "Nobody told me she was here",
    "We have to go, right now.",
)
CARDS = ("Five years later", "She died last winter.", "Chapter 12: Home", "THE END")
CREDITS = tuple(
    f"{role} {name}"
    for role, name in (
        ("Director", "Maria Lopez"),
        ("Producer", "John Whitfield"),
        ("Camera", "Aiko Tanaka"),
        ("Music", "Peter Novak"),
        ("Editor", "Sarah Cohen"),
        ("Sound", "Luis Ortega"),
        ("Costumes", "Emma Brandt"),
        ("Casting", "Oliver Grant"),
    )
)
DIRECTIONS = ("I love this place", "Do not come back", "My heart is broken", "Happy birthday Anna")
SHAPES = {720: (1280, 720), 1080: (1920, 1080)}


@dataclass(frozen=True)
class Line:
    """A line of text: its size and middle as shares of the picture's height and its sides."""

    text: str
    size: float
    middle: tuple[float, float] = (0.5, 0.9)
    degrees: int = 0
    colour: str = WHITE
    outline: bool = True


@dataclass(frozen=True)
class Clip:
    """A picture for each of 16 frames, and the lines on it."""

    background: Callable[[int, tuple[int, int]], Image.Image]
    lines: Callable[[int], Sequence[Line]]
    height: int = 720

    def frames(self) -> Iterator[Image.Image]:
        for number in range(FRAME_COUNT):
            picture = self.background(number, SHAPES[self.height]).convert("RGB")
            for line in self.lines(number):
                draw(picture, line)
            yield picture

    def texts(self) -> list[str]:
        every = [line.text for number in range(FRAME_COUNT) for line in self.lines(number)]
        return list(dict.fromkeys(every))


def draw(picture: Image.Image, line: Line) -> None:
    size = round(line.size * picture.height)
    font = ImageFont.load_default(size)
    stroke = max(1, size // 12) if line.outline else 0
    left, top, right, bottom = font.getbbox(line.text, stroke_width=stroke)
    layer = Image.new("RGBA", (int(right - left) + 4, int(bottom - top) + 4))
    ImageDraw.Draw(layer).text(
        (2 - left, 2 - top),
        line.text,
        fill=line.colour,
        font=font,
        stroke_width=stroke,
        stroke_fill="black",
    )
    layer = layer.rotate(line.degrees, expand=True)
    x, y = (
        round(share * side - own / 2)
        for share, side, own in zip(line.middle, picture.size, layer.size, strict=True)
    )
    picture.paste(layer, (x, y), layer)


# --- backgrounds ---


def plain(colour: str) -> Callable[[int, tuple[int, int]], Image.Image]:
    return lambda number, size: Image.new("RGB", size, colour)


def photo(number: int, size: tuple[int, int]) -> Image.Image:
    """A portrait that stands still."""
    return Image.open(fetch_all(["sample_portrait"])["sample_portrait"]).resize(size)


def panning(number: int, size: tuple[int, int]) -> Image.Image:
    """The portrait, 1 % further to the left in each frame."""
    picture = Image.open(fetch_all(["sample_portrait"])["sample_portrait"])
    left = picture.width * number // 100
    return picture.crop((left, 100, left + 400, 325)).resize(size)


def film(number: int, size: tuple[int, int]) -> Image.Image:
    """A moving film: grass, trees, animals."""
    return Image.fromarray(_film()[number]).resize(size)


_FILM: list[NDArray[np.uint8]] = []


def _film() -> NDArray[np.uint8]:
    if not _FILM:
        _FILM.append(decode_frames(PROJECT / "samples" / "bunny.mp4").images)
    return _FILM[0]


def speckles(number: int, size: tuple[int, int], cell: int = 12) -> Image.Image:
    """Squares in random greys, new in every frame."""
    shape = (size[1] // cell + 1, size[0] // cell + 1)
    grey = np.random.default_rng((number, cell)).integers(40, 216, shape, np.uint8)
    return Image.fromarray(grey.repeat(cell, 0).repeat(cell, 1)[: size[1], : size[0]])


def fine_speckles(number: int, size: tuple[int, int]) -> Image.Image:
    return speckles(number, size, 3)


def bricks(number: int, size: tuple[int, int]) -> Image.Image:
    y, x = np.mgrid[: size[1], : size[0]]
    row = (y + 3 * number) // 40
    joint = ((y + 3 * number) % 40 < 4) | ((x + row % 2 * 60) % 120 < 4)
    return Image.fromarray(np.where(joint, 200, 110).astype(np.uint8))


def stripes(number: int, size: tuple[int, int]) -> Image.Image:
    """Upright bars of irregular width, as fences and blinds."""
    widths = np.random.default_rng(number // 4).integers(3, 24, size[0])
    bars = np.repeat(np.arange(len(widths)) % 2 * 160 + 40, widths)[: size[0]].astype(np.uint8)
    return Image.fromarray(np.tile(bars, (size[1], 1)))


def leaves(number: int, size: tuple[int, int]) -> Image.Image:
    """Ellipses at all angles."""
    random = np.random.default_rng(number // 2)
    picture = Image.new("RGB", size, "#203010")
    for x, y, wide, green in random.integers((0, 0, 10, 60), (*size, 60, 255), (800, 4)).tolist():
        leaf = (x, y, x + wide, y + wide // 3 + 4)
        ImageDraw.Draw(picture).ellipse(leaf, fill=(green // 3, green, green // 4))
    return picture


# --- the panel ---


def changing(texts: Sequence[str], size: float, **style: object) -> Callable[[int], list[Line]]:
    """Each text for an equal share of the frames, one after the other."""
    lines = [Line(text, size, **style) for text in texts]  # type: ignore[arg-type]
    return lambda number: [lines[number * len(lines) // FRAME_COUNT]]


def staying(text: str, size: float, **style: object) -> Callable[[int], list[Line]]:
    return changing([text], size, **style)


def turned(degrees: int) -> Callable[[int], list[Line]]:
    return changing(DIRECTIONS, 0.06, middle=(0.5, 0.5), degrees=degrees)


def rolling(number: int) -> list[Line]:
    """Credits that move upwards by a third of their distance in each frame."""
    places = [0.9 - 0.1 * number / 3 + 0.1 * row for row in range(len(CREDITS))]
    shown = zip(CREDITS, places, strict=True)
    return [Line(text, 0.05, (0.5, y)) for text, y in shown if 0.05 < y < 0.95]


def nothing(number: int) -> list[Line]:
    return []


SMALL = {
    f"subtitles of {size:.1%}, {height} lines, on {name}": Clip(
        background, changing(TALK, size), height
    )
    for height in SHAPES
    for size in (0.02, 0.025, 0.035, 0.05)
    for name, background in (("black", plain("#000000")), ("film", film))
}
OTHERS = {
    "captions that change on a still picture": Clip(photo, changing(TALK, 0.06)),
    "a caption that stays on a moving picture": Clip(panning, staying(TALK[0], 0.06)),
    "a caption that stays on a film": Clip(film, staying(TALK[2], 0.06, colour=YELLOW)),
    "a logo and captions on a film": Clip(
        film,
        lambda number: [
            Line("NEWS 24", 0.05, (0.88, 0.1)),
            *changing(TALK, 0.055)(number),
        ],
    ),
    "title cards": Clip(plain("#101840"), changing(CARDS, 0.1, middle=(0.5, 0.5), outline=False)),
    "credits, eight lines": Clip(
        plain("#000000"),
        lambda _: [Line(text, 0.05, (0.5, 0.1 + 0.1 * row)) for row, text in enumerate(CREDITS)],
    ),
    "rolling credits": Clip(plain("#000000"), rolling),
    "white, no outline, on speckles": Clip(speckles, changing(TALK, 0.07, outline=False)),
    "white, no outline, on leaves": Clip(leaves, changing(TALK, 0.07, outline=False)),
    "white, no outline, on a film": Clip(film, changing(TALK, 0.06, outline=False)),
    **{
        f"turned by {degrees} degrees": Clip(photo, turned(degrees))
        for degrees in range(0, 360, 90)
    },
}
EMPTY = {
    f"no text: {background.__name__.replace('_', ' ')}": Clip(background, nothing)
    for background in (photo, panning, film, speckles, fine_speckles, bricks, stripes, leaves)
}
PANEL = SMALL | OTHERS | EMPTY


@dataclass(frozen=True)
class Score:
    """What was read of a clip."""

    lines: int
    right_lines: int
    characters: int
    right_characters: int
    false_lines: int
    readings: int
    right_readings: int

    def __str__(self) -> str:
        share = f"{self.right_characters / self.characters:4.0%}" if self.characters else "   –"
        return (
            f"{self.right_lines:3} of {self.lines:3} lines, {share} of the characters, "
            f"{self.false_lines:2} false, "
            f"{self.right_readings:3} of {self.readings:3} readings"
        )


def score(true: Sequence[str], found: Sequence[str]) -> Score:
    """Compares texts without regard to case and spaces.

    Args:
        true: the lines that are shown.
        found: the lines that were read, of all frames.
    """
    wanted = ["".join(text.lower().split()) for text in true]
    readings = ["".join(text.lower().split()) for text in found]
    read = list(dict.fromkeys(readings))
    right = [max((common(text, other) for other in read), default=0) for text in wanted]
    false = sum(all(likeness(text, other) < MATCH for text in wanted) for other in read)
    return Score(
        len(wanted),
        sum(text in read for text in wanted),
        sum(map(len, wanted)),
        sum(right),
        false,
        len(readings),
        sum(text in wanted for text in readings),
    )


def common(text: str, other: str) -> int:
    """Characters of `text` that are in `other` in the same order."""
    blocks = difflib.SequenceMatcher(None, text, other, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks)


def likeness(text: str, other: str) -> float:
    return common(text, other) / max(1, min(len(text), len(other)))


def write(path: Path, clip: Clip) -> Path:
    frames = (VideoFrame.from_ndarray(np.asarray(picture)) for picture in clip.frames())
    return write_clip(path, fps=FRAMES_PER_S, size=SHAPES[clip.height], frames=frames)


def decoded(clip: Clip, lines: int) -> NDArray[np.uint8]:
    """The clip's 16 frames as a client sends them, but for the size."""
    _scaling.FRAME_SHORTER_SIDE_PX = lines
    with tempfile.TemporaryDirectory() as folder:
        return decode_frames(write(Path(folder) / "clip.mp4", clip)).images


def measure(read: Callable[[NDArray[np.uint8]], Sequence[DetectedLine]], lines: int) -> None:
    """Prints a row for each clip, and the sums."""
    total, seconds_in_all = np.zeros(len(fields(Score)), int), 0.0
    for name, clip in PANEL.items():
        frames = decoded(clip, lines)
        started = time.process_time()
        found = [line.text for line in read(frames)]
        seconds = time.process_time() - started
        one = score(clip.texts(), found)
        total += astuple(one)
        seconds_in_all += seconds
        print(f"{name:42} {one}, {seconds:4.1f} s", flush=True)
    print(f"{'in all':42} {Score(*total.tolist())}, {seconds_in_all:.1f} s of processor time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=360, help="shorter side of the frames")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    text_lines.LONGER_SIDE_PX = round(text_lines.LONGER_SIDE_PX * given.lines / 360)
    repository = PROJECT / "model_repository"
    networks = OnnxNetworks(repository, CPU, one_by_one=True)
    reader, sessions = TextReader(repository), InProcess(repository, networks, CPU).infer
    measure(lambda frames: asyncio.run(reader.read(frames, sessions))[0], given.lines)


if __name__ == "__main__":
    main()
