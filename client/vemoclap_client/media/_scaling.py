"""Turns decoded frames into upright RGB images of one size with square pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np
from av.buffer import Buffer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc, Interpolation, VideoReformatter
from numpy.typing import NDArray

from vemoclap_client.contract import (
    FRAME_LONGER_SIDE_MAX_PX,
    FRAME_SHORTER_SIDE_MIN_PX,
    FRAME_SHORTER_SIDE_PX,
)

BICUBIC = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""Bicubic, with rounding and chroma that do not depend on the processor's shortcuts."""

HDR_TRANSFERS = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)
"""PQ and HLG: shown as they are stored, their pictures look dark or pale."""


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
    """Scales every frame of a clip to the size that its first frame asks for.

    Colours follow what the frame states of its matrix and range; where it states no matrix,
    FFmpeg's default holds, which is BT.601. The high dynamic range of PQ and HLG is not mapped
    to that of a usual screen.
    """

    def __init__(self, pixel_aspect: Fraction) -> None:
        self._pixel_aspect = pixel_aspect
        self._reformatter = VideoReformatter()
        self.displayed_size: tuple[int, int] | None = None
        """(width, height) of the first frame as a player shows it; None before."""
        self.is_hdr = False
        """Whether a frame so far had a high dynamic range."""

    def scale(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Convert one frame to an image uint8 [H, W, 3], RGB."""
        orientation = orientation_of(frame)
        self.is_hdr = self.is_hdr or frame.color_trc in HDR_TRANSFERS
        if self.displayed_size is None:
            self.displayed_size = displayed_size(frame, self._pixel_aspect, orientation)
        width, height = scaled_size(*self.displayed_size)
        if orientation.transposed:
            width, height = height, width
        scaled = self._reformatter.reformat(
            frame, width, height, "rgb24", interpolation=BICUBIC, threads=1
        )
        return orientation.apply(np.asarray(scaled.to_ndarray(), dtype=np.uint8))
