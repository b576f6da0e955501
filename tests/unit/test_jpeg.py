"""Frames as JPEG files, from the client's encoder to the server's decoder."""

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from server.slots.jpeg import FrameError, decode_frames
from vemoclap_client.media.jpeg import encode_jpeg

SIZE = (90, 160)
START_OF_SCAN, START_OF_SCAN_BYTES = b"\xff\xda", 14


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """A smooth picture, uint8 [height, width, 3], whose halves and colours differ."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [rows * 255 // height, columns * 255 // width, (columns > width // 2) * 200]
    return np.stack(channels, axis=-1).astype(np.uint8)


def file_of(frame: NDArray[np.uint8], name: str = "JPEG") -> bytes:
    file = BytesIO()
    Image.fromarray(frame).save(file, name)
    return file.getvalue()


def test_frames_come_out_as_they_went_in() -> None:
    frames = np.stack([picture(*SIZE), picture(*SIZE)[::-1]])
    files = encode_jpeg(frames)
    assert sum(map(len, files)) * 10 < frames.nbytes
    decoded = decode_frames(files)
    assert decoded.shape == frames.shape
    # Four chroma samples share one value: the vertical edge is blurred, the rest is close.
    assert np.abs(decoded.astype(int) - frames).mean() < 2


def test_grey_pictures_are_taken() -> None:
    assert decode_frames([file_of(picture(*SIZE)[..., 0])]).shape == (1, *SIZE, 3)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (b"", r"frame 1 of 0 bytes is no JPEG file"),
        (b"\xff\xd8\xff\xe0 nonsense", r"frame 1 of 13 bytes is no JPEG file"),
        (file_of(picture(*SIZE))[:400], r"frame 1 of 400 bytes is no JPEG file"),
        (file_of(picture(*SIZE), "PNG"), r"frame 1 of \d+ bytes is no JPEG file"),
        (file_of(picture(80, 60)), r"frame 1 has 60 x 80 pixels and frame 0 has 160 x 90"),
        (file_of(picture(2, 5000)), r"frame 1 has 5000 x 2 pixels, and at most 4096"),
    ],
)
def test_what_cannot_be_decoded_is_named(file: bytes, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        decode_frames([file_of(picture(*SIZE)), file])


def test_a_frame_of_another_size_is_refused_before_it_is_decoded() -> None:
    file = file_of(picture(90, 161))
    # Its headers alone: to decode it would be another error.
    headers = file[: file.index(START_OF_SCAN) + START_OF_SCAN_BYTES]
    with pytest.raises(FrameError, match="frame 1 has 161 x 90 pixels"):
        decode_frames([file_of(picture(*SIZE)), headers])
