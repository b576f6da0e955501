"""Slot face_analyzer: frames -> faces with boxes and expressions.

Source: VEMOCLAP takes, of a frame, the mean feature of its two largest faces; frames without
faces drop out of the sequence.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from server.slots.detector import DetectorInput, read_input
from server.slots.expression import CropRule, read_rule
from server.slots.frames import relative_box, unusable
from server.slots.repeats import first_shown
from server.slots.slot import (
    CPU,
    Device,
    FeatureWidth,
    Infer,
    Tensors,
    analyzer_outputs,
    elapsed_ms,
)
from vemoclap_client.analysis import Face, FaceEvidence
from vemoclap_client.contract import EXPRESSIONS, FRAME_COUNT, NO_FACE

CROP_SIDE_PX = 224
OVERLAP_THRESHOLD = 0.5
"""Of two boxes whose intersection over union is larger, the less certain is dropped."""
FACES_PER_FRAME = 8
"""At most so many are read, the largest, so that a crowd cannot stall the queue."""
FACES_PER_FEATURE = 2


@dataclass(frozen=True)
class DetectedFace:
    """A face in one frame; box is x0, y0, x1, y1 in whole pixels inside the frame."""

    frame: int
    box: tuple[int, int, int, int]
    confidence: float

    @property
    def area(self) -> int:
        """Square pixels."""
        x0, y0, x1, y1 = self.box
        return (x1 - x0) * (y1 - y0)


class FaceAnalyzer:
    """FRAMES uint8 [16, H, W, 3] -> FEATURES [16, width], LENGTH, EVIDENCE (FaceEvidence)."""

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Reads what the exported networks take."""
        self._detector = read_input(version_directory.parent.parent)
        self._crop_rule = read_rule(version_directory.parent.parent)
        self._width = face_width()

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Detects the faces of all frames in one batch, and reads their expressions in another.

        Of equal frames in a row the first is looked at.
        """
        rows = await self._width.no_rows(infer)
        started = time.perf_counter()
        frames = inputs["FRAMES"]
        absent = unusable(frames)
        first = [] if absent else await asyncio.to_thread(first_shown, frames)
        detected = [] if absent else await self._detect(frames, sorted(set(first)), infer)
        if not detected:
            absent = absent or NO_FACE
            evidence = FaceEvidence(absent=absent, duration_ms=elapsed_ms(started))
            return analyzer_outputs(rows, FRAME_COUNT, evidence)
        crops = await asyncio.to_thread(crop_all, frames, detected, self._crop_rule)
        read = await infer("face_expression", {"CROP": crops}, ["FEATURES", "PROBABILITIES"])
        faces, numbers = repeat(detected, first)
        rows = frame_features(faces, read["FEATURES"][numbers])
        found = model_faces(faces, read["PROBABILITIES"][numbers], frames.shape[1:3])
        evidence = FaceEvidence(faces=found, duration_ms=elapsed_ms(started))
        return analyzer_outputs(rows, FRAME_COUNT, evidence)

    async def _detect(
        self, frames: NDArray[np.uint8], indices: list[int], infer: Infer
    ) -> list[DetectedFace]:
        """The faces of the frames, uint8 [16, H, W, 3], of these indices."""
        images = await asyncio.to_thread(resize, frames[indices], self._detector)
        found = await infer("face_detector", {"IMAGE": images}, ["BOXES", "SCORES"])
        height, width = frames.shape[1:3]
        scale = np.tile([width / images.shape[2], height / images.shape[1]], 2).astype(np.float32)
        certain = found["SCORES"] > self._detector.confidence
        return [
            face
            for index, boxes, scores, chosen in zip(
                indices, found["BOXES"], found["SCORES"], certain, strict=True
            )
            for face in select_faces(index, boxes[chosen] * scale, scores[chosen], (height, width))
        ]


def face_width() -> FeatureWidth:
    """The width of the faces' features."""
    blank = np.zeros((1, CROP_SIDE_PX, CROP_SIDE_PX, 3), np.uint8)
    return FeatureWidth("face_expression", {"CROP": blank})


def resize(frames: NDArray[np.uint8], detector: DetectorInput) -> NDArray[np.uint8]:
    """Frames uint8 [n, H, W, 3] as the detector's images, uint8 [n, H', W', 3]."""
    height, width = detector.image_size(*frames.shape[1:3])
    smaller = height * width < frames.shape[1] * frames.shape[2]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.stack([cv2.resize(frame, (width, height), interpolation=method) for frame in frames])


def select_faces(
    frame: int, boxes: NDArray[np.float32], scores: NDArray[np.float32], size: tuple[int, ...]
) -> list[DetectedFace]:
    """A frame's faces, largest first.

    Args:
        frame: the frame's index.
        boxes: float32 [n, 4], x0, y0, x1, y1 in pixels of the frame; they may overlap and reach
            beyond it.
        scores: float32 [n], above the detector's confidence.
        size: the frame's height and width.
    """
    corner_and_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(corner_and_size.tolist(), scores.tolist(), 0.0, OVERLAP_THRESHOLD)
    height, width = size
    limits = np.array([width, height, width, height])
    faces = [
        DetectedFace(frame, _whole(np.clip(boxes[index], 0, limits)), float(scores[index]))
        for index in kept
    ]
    visible = [face for face in faces if face.area > 0]
    return sorted(visible, key=lambda face: face.area, reverse=True)[:FACES_PER_FRAME]


def _whole(box: NDArray[np.float32]) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (int(value) for value in box)
    return x0, y0, x1, y1


def crop_all(
    frames: NDArray[np.uint8], faces: Sequence[DetectedFace], rule: CropRule
) -> NDArray[np.uint8]:
    """The faces' crops, uint8 [n, 224, 224, 3], from frames uint8 [16, H, W, 3]."""
    return np.stack([crop(frames[face.frame], face, rule) for face in faces])


def crop(frame: NDArray[np.uint8], face: DetectedFace, rule: CropRule) -> NDArray[np.uint8]:
    """The face as the network for expressions takes it: uint8 [224, 224, 3]."""
    x0, y0, x1, y1 = face.box
    pixels = frame[y0:y1, x0:x1]
    return _stretch(pixels) if rule.is_stretched else _pad(pixels)


def _stretch(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    size = (CROP_SIDE_PX, CROP_SIDE_PX)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def _pad(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Padded with black to a square, and scaled."""
    height, width = pixels.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.zeros((side, side, 3), np.uint8)
    square[top : top + height, left : left + width] = pixels
    method = cv2.INTER_AREA if side > CROP_SIDE_PX else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (CROP_SIDE_PX, CROP_SIDE_PX), interpolation=method))


def repeat(
    detected: Sequence[DetectedFace], first: Sequence[int]
) -> tuple[list[DetectedFace], list[int]]:
    """The faces of all frames, and of each the number of the detected one that it is.

    Args:
        detected: the faces of the frames that were looked at, in order.
        first: of each frame, the index of the one whose faces it shows.
    """
    found = [
        (replace(face, frame=index), number)
        for index, looked_at in enumerate(first)
        for number, face in enumerate(detected)
        if face.frame == looked_at
    ]
    return [face for face, _ in found], [number for _, number in found]


def frame_features(faces: list[DetectedFace], features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean feature of the two largest faces of each frame that has one, in order.

    Args:
        faces: in order of their frames, within a frame largest first.
        features: float32 [faces, width].

    Returns:
        float32 [frames with faces, width].
    """
    rows = []
    for frame in sorted({face.frame for face in faces}):
        members = [index for index, face in enumerate(faces) if face.frame == frame]
        rows.append(features[members[:FACES_PER_FEATURE]].mean(axis=0))
    return np.stack(rows)


def model_faces(
    detected: list[DetectedFace], probabilities: NDArray[np.float32], size: tuple[int, ...]
) -> tuple[Face, ...]:
    """The faces as evidence.

    Args:
        detected: n faces.
        probabilities: of their expressions, float32 [n, 7].
        size: the frames' height and width.
    """
    return tuple(
        Face(
            face.frame,
            relative_box(face.box, size),
            round(face.confidence, 4),
            {name: round(float(value), 4) for name, value in zip(EXPRESSIONS, row, strict=True)},
        )
        for face, row in zip(detected, probabilities, strict=True)
    )
