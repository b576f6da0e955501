"""Lines of text in frames: where they are, cut out upright, and which of them are still the same.

Source: RapidOCR's way with PP-OCR's networks, by its own functions: the frame's size, the boxes of
the detector's map, their order, and the cutting.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidocr.ch_ppocr_det import TextDetector
from rapidocr.ch_ppocr_det.utils import DBPostProcess, DetPreProcess
from rapidocr.ch_ppocr_det.utils import ResizeImgError as DetectorResizeError
from rapidocr.utils.process_img import (
    ResizeImgError,
    apply_vertical_padding,
    get_rotate_crop_image,
    map_boxes_to_original,
    resize_image_within_bounds,
)

from server.slots.repeats import first_shown

LONGER_SIDE_PX = 640
"""The detector works at this size: three times faster than its default, captions still read."""
SIDES_PX = (30, 2000)
"""A frame with a shorter or longer side is scaled first."""
LONGEST_SHAPE, LOWEST_PX = 8, 30
"""A frame that is longer than 8 times its height, or this low, gets black above and below."""
BOXES = DBPostProcess(thresh=0.3, box_thresh=0.5, unclip_ratio=1.6, use_dilation=True)
"""With RapidOCR's defaults, as are the numbers above. It keeps no state."""
LINE_HEIGHT_PX = 48
LINE_WIDTHS_PX = (*range(160, 513, 32), 640, 800, 1024, 1536)
"""Lines are padded to one of these, so that those of different clips share a batch. Short ones are
read worse with less behind them."""
PADDING = 128
"""The recogniser was trained with 0 behind a line, which is this grey."""

COMPARED_HEIGHT_PX = 24
"""Lines are compared at this height, in windows half as wide: a letter."""
SAME_CORRELATION = 0.8
"""Lines whose letters correlate in every window say the same; measured, see docs/files.md."""
OUTSTANDING = 0.1
"""A window that correlates by so much less than the others shows another letter (6 and 8)."""
LEAST_CONTRAST = 0.3
"""Share of the strongest window's standard deviation below which a window shows no letter."""
SHORTEST_COMPARED = 3.0
"""Width over height: a shorter line has too few windows to tell 0 from 8, and is read quickly."""
MOVED_AT_MOST = 0.35
"""Corners of the same line in two frames differ by this share of its height at most."""

Image = NDArray[np.uint8]
Grey = NDArray[np.float32]
Corners = NDArray[np.float32]
"""[4, 2]: x and y of a line's corners, clockwise from where it begins."""


@dataclass(frozen=True)
class Picture:
    """A frame as it is read: uint8 [H, W, 3].

    Attributes:
        frame: its index.
        size: the frame's height and width.
        image: scaled and padded where the frame is of an unusual shape.
        record: RapidOCR's note of that, by which it puts boxes back into the frame.
    """

    frame: int
    size: tuple[int, int]
    image: Image
    record: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Line:
    """A line that was cut out.

    Attributes:
        frame: the frame's index.
        corners: in the picture.
        box: x0, y0, x1, y1 in the frame.
        image: upright or upside down, uint8 [H, W, 3].
        same_as: an earlier line that looks the same, if there is one. That one has none itself.
    """

    frame: int
    corners: Corners
    box: tuple[float, float, float, float]
    image: Image
    same_as: "Line | None" = None


def prepare(frames: Image) -> tuple[list[Picture], Image]:
    """Those frames that are read, and the same as the detector takes them.

    Args:
        frames: uint8 [n, H, W, 3].

    Returns:
        The pictures, and uint8 [pictures, h, w, 3], h and w multiples of 32. Both are empty where
        frames are too narrow to hold text.
    """
    try:
        pictures = [picture_of(index, frames[index]) for index in sorted(set(first_shown(frames)))]
        scale = DetPreProcess(LONGER_SIDE_PX, "max").resize
        inputs = [scale(picture.image) for picture in pictures]
    except (DetectorResizeError, ResizeImgError):
        return [], frames[:0]
    scaled = [image for image in inputs if image is not None]
    return (pictures, np.stack(scaled)) if scaled else ([], frames[:0])


def picture_of(frame: int, image: Image) -> Picture:
    """A frame, uint8 [H, W, 3], as it is read.

    Raises:
        ResizeImgError: it is too narrow.
    """
    scaled, ratio_h, ratio_w = resize_image_within_bounds(image, *SIDES_PX)
    record = {"preprocess": {"ratio_h": ratio_h, "ratio_w": ratio_w}}
    padded, record = apply_vertical_padding(scaled, record, LONGEST_SHAPE, LOWEST_PX)
    height, width = image.shape[:2]
    return Picture(frame, (height, width), padded, record)


def cut_all(pictures: Iterable[Picture], maps: Iterable[Image]) -> list[Line]:
    """The lines of all pictures; one that looks as in the picture before is marked.

    Args:
        pictures: in order.
        maps: of each picture the probabilities of text, times 255, uint8 [h, w].
    """
    lines: list[Line] = []
    earlier: list[Line] = []
    for picture, text in zip(pictures, maps, strict=True):
        found = [mark(line, earlier, picture) for line in cut(picture, text)]
        lines += found
        earlier = [line.same_as or line for line in found]
    return lines


def cut(picture: Picture, text: Image) -> list[Line]:
    """The lines of a picture, in the order of reading."""
    probabilities = (text / np.float32(255))[None, None]
    boxes, _ = BOXES(probabilities, picture.image.shape[:2])
    if len(boxes) == 0:
        return []
    corners = TextDetector.sorted_boxes(boxes).astype(np.float32)
    placed = map_boxes_to_original(corners.copy(), picture.record, *picture.size)
    return [
        Line(picture.frame, own, _bounds(in_frame), cut_out(picture.image, own))
        for own, in_frame in zip(corners, placed, strict=True)
    ]


def cut_out(image: Image, corners: Corners) -> Image:
    """What is inside the corners; what is higher than wide is turned by 90 degrees."""
    # The function turns a view: contiguous, as OpenCV wants it.
    return np.ascontiguousarray(get_rotate_crop_image(image, corners.copy()))


def mark(line: Line, earlier: Iterable[Line], picture: Picture) -> Line:
    """The line, marked where one of the earlier ones is still there in its picture."""
    height, width = line.image.shape[:2]
    if width < SHORTEST_COMPARED * height:
        return line
    limit = MOVED_AT_MOST * height
    for other in earlier:
        if np.abs(other.corners - line.corners).max() <= limit and looks_same(
            other.image, cut_out(picture.image, other.corners)
        ):
            return replace(line, same_as=other)
    return line


def looks_same(line: Image, other: Image) -> bool:
    """Whether two cut lines of one size show the same letters, on whatever background.

    Letters correlate, even where what moves behind them does not.
    """
    a, b = (_comparable(image) for image in (line, other))
    window = (COMPARED_HEIGHT_PX // 2, COMPARED_HEIGHT_PX)
    means = [cv2.blur(values, window) for values in (a, b, a * a, b * b, a * b)]
    covariance = means[4] - means[0] * means[1]
    deviations = [np.sqrt(np.maximum(means[i + 2] - means[i] ** 2, 0)) for i in (0, 1)]
    middle = COMPARED_HEIGHT_PX // 2
    contrast = np.maximum(*deviations)[middle]
    shown = contrast > LEAST_CONTRAST * contrast.max()
    correlation = covariance[middle] / np.maximum(deviations[0] * deviations[1], 1)[middle]
    if not shown.any():
        return True
    least = max(SAME_CORRELATION, float(np.median(correlation[shown])) - OUTSTANDING)
    return bool(correlation[shown].min() >= least)


def _comparable(image: Image) -> Grey:
    height, width = image.shape[:2]
    scaled_width = max(COMPARED_HEIGHT_PX, round(width * COMPARED_HEIGHT_PX / height))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    size = (scaled_width, COMPARED_HEIGHT_PX)
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def recognizer_input(image: Image) -> Image:
    """A cut line as the recogniser takes it: uint8 [48, W, 3], W one of LINE_WIDTHS_PX."""
    height, width = image.shape[:2]
    wanted = min(math.ceil(LINE_HEIGHT_PX * width / height), LINE_WIDTHS_PX[-1])
    padded = np.full(
        (LINE_HEIGHT_PX, next(w for w in LINE_WIDTHS_PX if w >= wanted), 3), PADDING, np.uint8
    )
    padded[:, :wanted] = cv2.resize(image, (wanted, LINE_HEIGHT_PX))
    return padded


def _bounds(corners: Corners) -> tuple[float, float, float, float]:
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)
