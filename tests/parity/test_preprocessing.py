"""The image preprocessing against the stated torchvision transform."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.transforms import v2

from server.slots.frames import preprocess

pytestmark = pytest.mark.parity

GREY_LEVEL = 1 / 255
SIZES = ((360, 640), (360, 480), (640, 360))
"""Height and width."""


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def hard_edges(height: int, width: int) -> NDArray[np.uint8]:
    """Black and white stripes and squares of 1 to 40 pixels, where bicubic filters overshoot."""
    y, x = np.mgrid[:height, :width]
    size = 1 + 40 * y // height
    planes = [x // size % 2, (x // 7 + y // 7) % 2, (x + y) // size % 2]
    return np.stack([plane * 255 for plane in planes], axis=2).astype(np.uint8)


def stated(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    transform = v2.Compose(
        [
            v2.Resize(224, v2.InterpolationMode.BICUBIC, antialias=True),
            v2.CenterCrop(224),
        ]
    )
    pixels: torch.Tensor = transform(torch.from_numpy(frame).permute(2, 0, 1) / 255)
    return pixels.numpy()


@pytest.mark.parametrize("draw", [noise, hard_edges])
@pytest.mark.parametrize("size", SIZES)
def test_a_frame_is_within_one_grey_level_of_the_stated_transform(
    draw: Callable[[int, int], NDArray[np.uint8]], size: tuple[int, int]
) -> None:
    frame = draw(*size)
    difference = np.abs(preprocess(frame) - stated(frame))
    assert difference.shape == (3, 224, 224)
    assert difference.max() < GREY_LEVEL


def test_the_bound_would_notice_another_filter() -> None:
    frame = hard_edges(*SIZES[0])
    pixels = torch.from_numpy(frame).permute(2, 0, 1) / 255
    other = v2.CenterCrop(224)(v2.Resize(224, v2.InterpolationMode.BILINEAR)(pixels)).numpy()
    assert np.abs(other - stated(frame)).max() > GREY_LEVEL
