"""Turns decoded frames into upright RGB images with square pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import numpy as np
from av.buffer import Buffer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, ColorTrc, Interpolation, VideoReformatter
from numpy.typing import NDArray

from vemoclap_client.contract import (
    FRAME_LONGER_SIDE_MAX_PX,
    FRAME_SHORTER_SIDE_MIN_PX,
    FRAME_SHORTER_SIDE_PX,
)
from vemoclap_client.media._tone_mapping import HDR_TRANSFERS, tone_mapped

BICUBIC = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""Bicubic, with rounding and chroma that do not depend on the processor's shortcuts."""

HD_LINES = 720
"""Pictures of at least so many lines use BT.709's matrix where they do not state one."""

MATRIX_UNSPECIFIED = 2
"""FFmpeg's AVCOL_SPC_UNSPECIFIED, which PyAV's Colorspace does not name."""


@dataclass(frozen=True)
class Orientation:
    """How a stored image must be turned to be upright: transposed first, then mirrored."""

    transposed: bool = False
    mirrored_across: bool = False
    mirrored_down: bool = False

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn an image [H, W, 3]; returns it contiguous."""
        if self.transposed:
            image = image.transpose(1, 0, 2)
        across = -1 if self.mirrored_across else 1
        down = -1 if self.mirrored_down else 1
        return np.ascontiguousarray(image[::down, ::across])


def orientation_of(frame: VideoFrame) -> Orientation:
    """Read the frame's display matrix, rounded to quarter turns and mirrorings."""
    side_data = cast(Mapping[SideDataType, Buffer], frame.side_data)
    matrix = side_data.get(SideDataType.DISPLAYMATRIX)
    if matrix is None:
        return Orientation()
    # Rows (a, b, u), (c, d, v), (x, y, w): a point is shown at (a x + c y, b x + d y).
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, mirrored_across=a < 0, mirrored_down=d < 0)
    return Orientation(True, mirrored_across=c < 0, mirrored_down=b < 0)


def displayed_size(
    frame: VideoFrame, pixel_aspect: Fraction, orientation: Orientation
) -> tuple[int, int]:
    """Width and height, in square pixels, at which a player shows the frame upright.

    Args:
        pixel_aspect: width / height of a stored pixel.
    """
    width, height = max(1, round(frame.width * pixel_aspect)), frame.height
    return (height, width) if orientation.transposed else (width, height)


def scaled_size(width: int, height: int) -> tuple[int, int]:
    """Width and height after scaling, keeping the shape as far as the limits allow.

    The shorter side becomes FRAME_SHORTER_SIDE_PX, or less where the longer one would exceed
    FRAME_LONGER_SIDE_MAX_PX, but never less than FRAME_SHORTER_SIDE_MIN_PX: a clip more than
    80 times as long as it is high is shown squeezed.
    """
    scale = Fraction(FRAME_SHORTER_SIDE_PX, min(width, height))
    scale = min(scale, Fraction(FRAME_LONGER_SIDE_MAX_PX, max(width, height)))
    return (
        max(FRAME_SHORTER_SIDE_MIN_PX, round(width * scale)),
        max(FRAME_SHORTER_SIDE_MIN_PX, round(height * scale)),
    )


class Scaler:
    """Scales every frame of a clip, each in its own shape.

    Colours follow the frame's own tags; where it has none, BT.709 holds from 720 lines on and
    BT.601 below, as in players. HDR is mapped to a usual screen, transparency shown on black.
    """

    def __init__(self, pixel_aspect: Fraction) -> None:
        self._pixel_aspect = pixel_aspect
        self._reformatter = VideoReformatter()
        self.displayed_size: tuple[int, int] | None = None
        """(width, height) of the first frame as a player shows it; None before."""
        self.changed_shape = False
        """Whether frames so far had different shapes."""
        self.is_hdr = False
        """Whether a frame so far had a high dynamic range."""

    def scale(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Convert one frame to an image uint8 [H, W, 3], RGB."""
        orientation = orientation_of(frame)
        displayed = displayed_size(frame, self._pixel_aspect, orientation)
        self.displayed_size = self.displayed_size or displayed
        width, height = scaled_size(*displayed)
        self.changed_shape |= (width, height) != scaled_size(*self.displayed_size)
        if orientation.transposed:
            width, height = height, width
        return orientation.apply(self._to_rgb(frame, width, height))

    def _to_rgb(self, frame: VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
        if frame.color_trc in HDR_TRANSFERS:
            self.is_hdr = True
            image = self._reformat(frame, width, height, "rgb48le")
            return tone_mapped(image, ColorTrc(frame.color_trc))
        if frame.format.has_palette or any(part.is_alpha for part in frame.format.components):
            image = self._reformat(frame, width, height, "rgba")
            opacity = image[..., 3:].astype(np.uint16)
            return ((image[..., :3] * opacity + 127) // 255).astype(np.uint8)
        return np.asarray(self._reformat(frame, width, height, "rgb24"), np.uint8)

    def _reformat(
        self, frame: VideoFrame, width: int, height: int, pixel_format: str
    ) -> NDArray[Any]:
        scaled = self._reformatter.reformat(
            frame,
            width,
            height,
            pixel_format,
            src_colorspace=_matrix(frame),
            interpolation=BICUBIC,
            threads=1,
        )
        return np.asarray(scaled.to_ndarray())


def _matrix(frame: VideoFrame) -> Colorspace | None:
    """The colour matrix of a frame without tags from 720 lines on; None for all others."""
    untagged = frame.colorspace == MATRIX_UNSPECIFIED and not frame.format.is_rgb
    return Colorspace.ITU709 if untagged and frame.height >= HD_LINES else None


def stack_images(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Images uint8 [H, W, 3] as uint8 [n, H, W, 3].

    Images of several shapes are centred on black ones of the largest height and width, none of
    them scaled: what is where in a stacked image is where it is for all that follows.
    """
    shapes = {image.shape for image in images}
    if len(shapes) == 1:
        return np.stack(images)
    height, width = (max(shape[axis] for shape in shapes) for axis in (0, 1))
    stacked = np.zeros((len(images), height, width, 3), np.uint8)
    for canvas, image in zip(stacked, images, strict=True):
        top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return stacked
