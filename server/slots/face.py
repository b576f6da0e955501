"""Slot face_analyzer: frames -> faces with boxes and expressions.

Source: VEMOCLAP takes, of a frame, the mean feature of its two largest faces; frames without
faces drop out of the sequence.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from server.slots.frames import relative_box, unusable
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

DETECTOR_SIDE_PX = 640
CROP_SIDE_PX = 224
CONFIDENCE_THRESHOLD = 0.5
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
        """Needs no files."""
        self._width = face_width()

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Detects the faces of all frames in one batch, and reads their expressions in another."""
        rows = await self._width.no_rows(infer)
        started = time.perf_counter()
        frames = inputs["FRAMES"]
        absent = unusable(frames)
        detected = [] if absent else await self._detect(frames, infer)
        if not detected:
            absent = absent or NO_FACE
            evidence = FaceEvidence(absent=absent, duration_ms=elapsed_ms(started))
            return analyzer_outputs(rows, FRAME_COUNT, evidence)
        crops = np.stack([crop(frames[face.frame], face) for face in detected])
        read = await infer("face_expression", {"CROP": crops}, ["FEATURES", "PROBABILITIES"])
        rows = frame_features(detected, read["FEATURES"])
        faces = model_faces(detected, read["PROBABILITIES"], frames.shape[1:3])
        evidence = FaceEvidence(faces=faces, duration_ms=elapsed_ms(started))
        return analyzer_outputs(rows, FRAME_COUNT, evidence)

    async def _detect(self, frames: NDArray[np.uint8], infer: Infer) -> list[DetectedFace]:
        images, scale = letterbox(frames)
        found = await infer("face_detector", {"IMAGE": images}, ["BOXES", "SCORES"])
        return [
            face
            for index in range(len(frames))
            for face in select_faces(
                index, found["BOXES"][index] / scale, found["SCORES"][index], frames.shape[1:3]
            )
        ]


def face_width() -> FeatureWidth:
    """The width of the faces' features."""
    blank = np.zeros((1, CROP_SIDE_PX, CROP_SIDE_PX, 3), np.uint8)
    return FeatureWidth("face_expression", {"CROP": blank})


def letterbox(frames: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """Frames uint8 [n, H, W, 3] at the top left of black squares uint8 [n, 640, 640, 3].

    Returns:
        The squares, and the factor by which the frames were scaled.
    """
    height, width = frames.shape[1:3]
    scale = min(1.0, DETECTOR_SIDE_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    images = np.zeros((len(frames), DETECTOR_SIDE_PX, DETECTOR_SIDE_PX, 3), np.uint8)
    for image, frame in zip(images, frames, strict=True):
        scaled = frame if scale == 1 else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        image[: size[1], : size[0]] = scaled
    return images, scale


def select_faces(
    frame: int, boxes: NDArray[np.float32], scores: NDArray[np.float32], size: tuple[int, ...]
) -> list[DetectedFace]:
    """A frame's faces, largest first.

    Args:
        frame: the frame's index.
        boxes: float32 [n, 4], x0, y0, x1, y1 in pixels of the frame; they may overlap and reach
            beyond it.
        scores: float32 [n], 0 to 1.
        size: the frame's height and width.
    """
    certain = scores > CONFIDENCE_THRESHOLD
    boxes, scores = boxes[certain], scores[certain]
    corner_and_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(
        corner_and_size.tolist(), scores.tolist(), CONFIDENCE_THRESHOLD, OVERLAP_THRESHOLD
    )
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


def crop(frame: NDArray[np.uint8], face: DetectedFace) -> NDArray[np.uint8]:
    """The face, padded with black to a square and scaled: uint8 [224, 224, 3]."""
    x0, y0, x1, y1 = face.box
    height, width = y1 - y0, x1 - x0
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.zeros((side, side, 3), np.uint8)
    square[top : top + height, left : left + width] = frame[y0:y1, x0:x1]
    method = cv2.INTER_AREA if side > CROP_SIDE_PX else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (CROP_SIDE_PX, CROP_SIDE_PX), interpolation=method))


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
