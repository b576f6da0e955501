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


def gradients(height: int, width: int) -> NDArray[np.uint8]:
    down, across = np.linspace(0, 255, height), np.linspace(0, 255, width)
    levels = np.stack(np.broadcast_arrays(down[:, None], across, down[::-1, None]), axis=2)
    return np.asarray(levels, np.uint8)


def hard_edges(height: int, width: int) -> NDArray[np.uint8]:
    """Black and white stripes and squares of 1 to 40 pixels, where bicubic filters overshoot."""
    y, x = np.mgrid[:height, :width]
    size = 1 + 40 * y // height
    planes = [x // size % 2, (x // 7 + y // 7) % 2, (x + y) // size % 2]
    return np.stack([plane * 255 for plane in planes], axis=2).astype(np.uint8)


def scene(height: int, width: int) -> NDArray[np.uint8]:
    """Soft shapes, a sharp caption and a grain, as a frame has them."""
    y, x = np.mgrid[:height, :width]
    waves = 128 + 90 * np.sin(x / 37 + np.sin(y / 53))
    picture = np.stack([waves, 255 - waves, np.hypot(x - width / 2, y - height / 2) % 256], axis=2)
    picture[height * 4 // 5 : height * 9 // 10 : 3, width // 4 : width * 3 // 4] = 255
    grain = np.random.default_rng(1).normal(0, 6, picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def stated(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    transform = v2.Compose(
        [
            v2.Resize(224, v2.InterpolationMode.BICUBIC, antialias=True),
            v2.CenterCrop(224),
        ]
    )
    pixels: torch.Tensor = transform(torch.from_numpy(frame).permute(2, 0, 1) / 255)
    return pixels.numpy()


@pytest.mark.parametrize("draw", [noise, gradients, hard_edges, scene])
@pytest.mark.parametrize("size", SIZES)
def test_a_frame_is_within_one_grey_level_of_the_stated_transform(
    draw: Callable[[int, int], NDArray[np.uint8]], size: tuple[int, int]
) -> None:
    frame = draw(*size)
    difference = np.abs(preprocess(frame) - stated(frame))
    assert difference.shape == (3, 224, 224)
    assert difference.max() < GREY_LEVEL


def test_the_bound_would_notice_another_filter() -> None:
    frame = scene(*SIZES[0])
    pixels = torch.from_numpy(frame).permute(2, 0, 1) / 255
    other = v2.CenterCrop(224)(v2.Resize(224, v2.InterpolationMode.BILINEAR)(pixels)).numpy()
    assert np.abs(other - stated(frame)).max() > GREY_LEVEL
