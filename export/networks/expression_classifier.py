"""A small dense network that reads the expression of a face.

Source: the "face_expression" weights of face-api (Vladimir Mandic and Vincent Mühler, MIT). Rebuilt
from the weights' shapes; compared with the original program in tests/parity.
"""

import torch
from torch import nn
from torch.nn import functional

from export.networks.layers import SameConv2d, depthwise
from export.networks.tensorflow_js import Weights, convolution, depthwise_convolution
from vemoclap_client.contract import EXPRESSIONS

ORIGINAL_ORDER = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
MEAN_RGB = (122.782, 117.001, 104.298)
FEATURES = 256
WIDTHS = (32, 64, 128, FEATURES)


class Separable(nn.Module):
    """A depthwise convolution, then a pointwise one."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.depthwise = depthwise(width_in, 3, stride)
        self.pointwise = nn.Conv2d(width_in, width_out, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C', H / stride, W / stride]."""
        mixed: torch.Tensor = self.pointwise(self.depthwise(features))
        return mixed


class DenseBlock(nn.Module):
    """Four convolutions; each sees the sum of all before it. The first halves the map."""

    def __init__(self, first: nn.Module, width: int) -> None:
        super().__init__()
        self.first = first
        self.others = nn.ModuleList(Separable(width, width, 1) for _ in range(3))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C', H / 2, W / 2]."""
        total = functional.relu(self.first(features))
        entering = total
        for convolve in self.others:
            total = total + convolve(entering)
            entering = functional.relu(total)
        return entering


class ExpressionClassifier(nn.Module):
    """The crop of a face -> its feature, and the probabilities of seven expressions."""

    mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        firsts: list[nn.Module] = [SameConv2d(3, WIDTHS[0], 3, 2)]
        firsts += [Separable(WIDTHS[i - 1], WIDTHS[i], 2) for i in range(1, len(WIDTHS))]
        self.blocks = nn.ModuleList(map(DenseBlock, firsts, WIDTHS))
        self.last = nn.Linear(FEATURES, len(EXPRESSIONS))
        self.register_buffer("mean", torch.tensor(MEAN_RGB).reshape(3, 1, 1), persistent=False)

    def forward(self, crop: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Read the expression.

        Args:
            crop: uint8 [N, 224, 224, 3], RGB, square.

        Returns:
            Features float32 [N, 256], and probabilities float32 [N, 7] in the order of
            `contract.EXPRESSIONS`.
        """
        pixels = functional.avg_pool2d(crop.permute(0, 3, 1, 2).float(), 2)
        return self.classify(pixels)

    def classify(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As `forward`, from [N, 3, 112, 112], 0 to 255: the size it was trained on."""
        features = (pixels - self.mean) / 255
        for block in self.blocks:
            features = block(features)
        features = features.mean((2, 3))
        return features, torch.softmax(self.last(features), -1)


def state_from(weights: Weights) -> Weights:
    """Return face-api's weights under the names of `ExpressionClassifier`."""
    order = [ORIGINAL_ORDER.index(name) for name in EXPRESSIONS]
    state = {
        "blocks.0.first.weight": convolution(weights["dense0/conv0/filters"]),
        "blocks.0.first.bias": weights["dense0/conv0/bias"],
        "last.weight": weights["fc/weights"].T[order],
        "last.bias": weights["fc/bias"][order],
    }
    for block in range(len(WIDTHS)):
        for number in range(4):
            name = f"blocks.{block}." + (f"others.{number - 1}" if number else "first")
            if block or number:
                state |= _separable(name, weights, f"dense{block}/conv{number}")
    return state


def _separable(name: str, weights: Weights, source: str) -> Weights:
    return {
        f"{name}.depthwise.weight": depthwise_convolution(weights[f"{source}/depthwise_filter"]),
        f"{name}.pointwise.weight": convolution(weights[f"{source}/pointwise_filter"]),
        f"{name}.pointwise.bias": weights[f"{source}/bias"],
    }
