"""Shapes, transparency and colours of pictures, as a player shows them."""

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace

from tests.clips import concatenate, numbered_frames, read_number, solid_frame, write_clip
from vemoclap_client.errors import NotAVideoError
from vemoclap_client.media._scaling import Scaler, stack_images
from vemoclap_client.media.parts import FrameBlock, decode_parts
from vemoclap_client.media.video import decode_frames


def test_each_frame_keeps_its_own_shape(tmp_path: Path) -> None:
    """A phone that is turned while it films writes pictures of two shapes."""
    sizes = [(96, 64), (64, 96)]
    parts = [
        write_clip(tmp_path / f"{number}.ts", size=size, start_s=2.0 * number)
        for number, size in enumerate(sizes)
    ]
    path = concatenate(tmp_path / "turned.ts", *parts)
    found = decode_frames(path)
    assert found.images.shape == (16, 540, 540, 3)
    wide, high = found.images[2], found.images[-2]
    # Nothing is stretched: the number can be read where the picture is, beside it all is black.
    assert read_number(wide[90:450]) > 0
    assert read_number(high[:, 90:450]) > 0
    assert not wide[:88].any()
    assert not high[:, :88].any()
    assert any("shape" in warning for warning in found.warnings)
    blocks = [part for part in decode_parts(path, 1.5, 1.5) if isinstance(part, FrameBlock)]
    assert blocks[0].images.shape == (16, 360, 540, 3)


def test_stacking_centres_and_does_not_scale() -> None:
    low, narrow = np.full((2, 6, 3), 1, np.uint8), np.full((4, 2, 3), 2, np.uint8)
    stacked = stack_images([low, narrow])
    assert stacked.shape == (2, 4, 6, 3)
    np.testing.assert_array_equal(stacked[0, :, :, 0], [[0] * 6, [1] * 6, [1] * 6, [0] * 6])
    np.testing.assert_array_equal(stacked[1, :, :, 0], [[0, 0, 2, 2, 0, 0]] * 4)


@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_what_is_transparent_is_black(alpha: int) -> None:
    values = np.full((64, 96, 4), 200, np.uint8)
    values[..., 3] = alpha
    frame = VideoFrame.from_ndarray(values, format="rgba").reformat(format="yuva444p")
    image = Scaler(Fraction(1)).scale(frame)
    assert np.abs(image.astype(int) - round(200 * alpha / 255)).max() <= 3


def test_a_transparent_clip_is_shown_on_black(tmp_path: Path) -> None:
    frames = []
    for frame in numbered_frames(3, (96, 64)):
        values = frame.to_ndarray(format="rgba")
        values[:, 48:, 3] = 0
        frames.append(VideoFrame.from_ndarray(values, format="rgba"))
    path = write_clip(
        tmp_path / "clip.mov",
        codec="prores_ks",
        pixel_format="yuva444p10le",
        options={"profile": "4444"},
        frames=frames,
    )
    image = decode_frames(path).images[0]
    assert image[:, 280:].max() <= 3
    assert image[:80, :120, 0].min() > 150  # The red block on the opaque side.


@pytest.mark.parametrize(
    ("lines", "tag", "matrix"),
    [
        (720, None, Colorspace.ITU709),
        (576, None, Colorspace.ITU601),
        (720, Colorspace.ITU601, Colorspace.ITU601),
        (576, Colorspace.ITU709, Colorspace.ITU709),
    ],
)
def test_untagged_colours_are_those_of_players(
    lines: int, tag: Colorspace | None, matrix: Colorspace
) -> None:
    frame = solid_frame((81, 90, 240), (lines * 16 // 9 // 2 * 2, lines), "yuv420p")
    if tag is not None:
        frame.colorspace = tag
    red, green, blue = Scaler(Fraction(1)).scale(frame)[100, 100].astype(int)
    # BT.601 and BT.709: luma weights of red and blue.
    weight_red, weight_blue = (0.2126, 0.0722) if matrix == Colorspace.ITU709 else (0.299, 0.114)
    luma, cb, cr = (81 - 16) / 219, (90 - 128) / 224, (240 - 128) / 224
    expected_red = luma + 2 * (1 - weight_red) * cr
    expected_blue = luma + 2 * (1 - weight_blue) * cb
    expected_green = (luma - weight_red * expected_red - weight_blue * expected_blue) / (
        1 - weight_red - weight_blue
    )
    expected = np.clip(np.array([expected_red, expected_green, expected_blue]) * 255, 0, 255)
    assert np.abs(np.array([red, green, blue]) - expected).max() <= 2


@pytest.mark.parametrize("brand", [b"avif", b"heic", b"mif1"])
def test_a_still_in_an_mp4_is_refused_as_one(tmp_path: Path, brand: bytes) -> None:
    path = tmp_path / "photo.avif"
    path.write_bytes(struct.pack(">I4s4sI", 16, b"ftyp", brand, 0) + bytes(64))
    with pytest.raises(NotAVideoError, match="still picture"):
        decode_frames(path)
