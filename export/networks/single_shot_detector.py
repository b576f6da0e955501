"""A single-shot face detector on MobileNet v1.

Sources: SSD (Liu et al., arXiv 1512.02325) and MobileNets (Howard et al., arXiv 1704.04861), in
the sizes of the "ssd_mobilenetv1" weights of face-api (Vladimir Mandic and Vincent Mühler, MIT),
trained on WIDER FACE. Rebuilt from the papers and the weights' shapes; compared with the
original program in tests/parity.
"""

import torch
from torch import nn
from torch.nn import functional

from export.networks.layers import SameConv2d, depthwise
from export.networks.tensorflow_js import Weights, convolution, depthwise_convolution

IMAGE_PX = 640
"""Side of the square image that callers send."""

NETWORK_PX = 512
"""Side of the square image that the network was trained on."""

ANCHORS = 5118
FACE = 1
"""The class that counts, of: background, face, and one that was never trained."""

CLASSES = 3
WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
"""Channels after the first convolution and after each of the 13 separable ones."""

STRIDED = (2, 4, 6, 12)
TAPPED = 11
"""The separable layer whose 32 x 32 map carries the anchors of the smallest faces."""

EXTRA_WIDTHS = ((256, 512), (128, 256), (128, 256), (64, 128))
ANCHORS_PER_CELL = (3, 6, 6, 6, 6, 6)
MAP_CHANNELS = (512, 1024, 512, 256, 256, 128)

FINEST_MAP = 32
"""Side of the first map that carries anchors; each further one has half of it."""

BATCH_NORM_EPSILON = 1e-3
CENTRE_SCALE = 10.0
SIZE_SCALE = 5.0
"""Encoded offsets are this many times the real ones, as in the paper's reference code."""


class SeparableLayer(nn.Module):
    """A depthwise convolution, normalised, then a pointwise one; both end in ReLU6."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.depthwise = depthwise(width_in, 3, stride)
        self.norm = nn.BatchNorm2d(width_in, eps=BATCH_NORM_EPSILON)
        self.pointwise = nn.Conv2d(width_in, width_out, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C', H / stride, W / stride]."""
        features = functional.relu6(self.norm(self.depthwise(features)))
        return functional.relu6(self.pointwise(features))


class ExtraLayer(nn.Module):
    """Narrows, then halves the map: coarser maps carry the anchors of larger faces."""

    def __init__(self, width_in: int, widths: tuple[int, int]) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(width_in, widths[0], 1)
        self.halve = SameConv2d(widths[0], widths[1], 3, 2)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C', ceil(H / 2), ceil(W / 2)]."""
        return functional.relu6(self.halve(functional.relu6(self.narrow(features))))


class FaceDetector(nn.Module):
    """A square image -> a box and a score for each of 5118 anchors."""

    anchors: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, WIDTHS[0], 3, 2)
        self.layers = nn.ModuleList(
            SeparableLayer(WIDTHS[i - 1], WIDTHS[i], 2 if i in STRIDED else 1)
            for i in range(1, len(WIDTHS))
        )
        widths_in = (WIDTHS[-1], *(widths[1] for widths in EXTRA_WIDTHS[:-1]))
        self.extras = nn.ModuleList(map(ExtraLayer, widths_in, EXTRA_WIDTHS))
        maps = list(zip(MAP_CHANNELS, ANCHORS_PER_CELL, strict=True))
        self.boxes = nn.ModuleList(nn.Conv2d(width, count * 4, 1) for width, count in maps)
        self.classes = nn.ModuleList(nn.Conv2d(width, count * CLASSES, 1) for width, count in maps)
        self.register_buffer("anchors", torch.zeros(1, ANCHORS, 4))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Find candidates.

        Args:
            image: uint8 [N, 640, 640, 3], RGB.

        Returns:
            Boxes float32 [N, 5118, 4] as x0, y0, x1, y1 in pixels of the image, and scores
            float32 [N, 5118] between 0 and 1, before non-maximum suppression.
        """
        pixels = image.permute(0, 3, 1, 2).float()
        size = (NETWORK_PX, NETWORK_PX)
        pixels = functional.interpolate(pixels, size, mode="bilinear", antialias=True)
        boxes, scores = self.detect(pixels)
        return boxes * IMAGE_PX, scores

    def detect(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[N, 3, 512, 512], 0 to 255 -> boxes in shares of the image's side, and scores."""
        maps = self._maps((pixels / 127.5 - 1).to(self.stem.weight.dtype))
        encoded = _per_anchor(self.boxes, maps, 4).float()
        classes = _per_anchor(self.classes, maps, CLASSES).float()
        return _decode(encoded, self.anchors.float()), torch.sigmoid(classes[..., FACE])

    def _maps(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        features = functional.relu6(self.stem(pixels))
        maps = []
        for number, layer in enumerate(self.layers, start=1):
            features = layer(features)
            if number == TAPPED:
                maps.append(features)
        maps.append(features)
        for extra in self.extras:
            features = extra(features)
            maps.append(features)
        return maps


def grid_anchors() -> torch.Tensor:
    """Return anchors for random weights: around the cells' centres, larger on coarser maps.

    Float32 [1, 5118, 4] as y0, x0, y1, x1 in shares of the image's side, as the trained ones are.
    """
    parts = []
    for level, count in enumerate(ANCHORS_PER_CELL):
        side = FINEST_MAP >> level
        centre = (torch.arange(side) + 0.5) / side
        centres = torch.cartesian_prod(centre, centre).repeat_interleave(count, 0)
        halves = torch.linspace(0.5, 1.5, count).repeat(side * side)[:, None] / side
        parts.append(torch.cat([centres - halves, centres + halves], 1))
    return torch.cat(parts)[None]


def _per_anchor(heads: nn.ModuleList, maps: list[torch.Tensor], values: int) -> torch.Tensor:
    """Return what the heads say about every anchor of every map: [N, 5118, values]."""
    answers = [head(features) for head, features in zip(heads, maps, strict=True)]
    return torch.cat(
        [a.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, values)) for a in answers], 1
    )


def _decode(encoded: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Return boxes x0, y0, x1, y1; anchors, and what is encoded, have y before x."""
    sizes = anchors[..., 2:] - anchors[..., :2]
    centres = anchors[..., :2] + sizes / 2
    centres = centres + encoded[..., :2] / CENTRE_SCALE * sizes
    halves = torch.exp(encoded[..., 2:] / SIZE_SCALE) * sizes / 2
    return torch.cat([(centres - halves).flip(-1), (centres + halves).flip(-1)], -1)


def state_from(weights: Weights) -> Weights:
    """Return face-api's weights under the names of `FaceDetector`."""
    state = _convolution("stem", weights, "MobilenetV1/Conv2d_0_pointwise")
    for number in range(1, len(WIDTHS)):
        state |= _separable(f"layers.{number - 1}", weights, f"MobilenetV1/Conv2d_{number}")
    for number in range(len(EXTRA_WIDTHS)):
        source = "Prediction/Conv2d_{}_pointwise"
        state |= _convolution(f"extras.{number}.narrow", weights, source.format(2 * number))
        state |= _convolution(f"extras.{number}.halve", weights, source.format(2 * number + 1))
    for number in range(len(MAP_CHANNELS)):
        source = f"Prediction/BoxPredictor_{number}"
        state |= _convolution(
            f"boxes.{number}", weights, f"{source}/BoxEncodingPredictor", "biases"
        )
        state |= _convolution(f"classes.{number}", weights, f"{source}/ClassPredictor", "biases")
    return state | {"anchors": weights["Output/extra_dim"]}


def _convolution(
    name: str, weights: Weights, source: str, bias: str = "convolution_bn_offset"
) -> Weights:
    return {
        f"{name}.weight": convolution(weights[f"{source}/weights"]),
        f"{name}.bias": weights[f"{source}/{bias}"],
    }


def _separable(name: str, weights: Weights, source: str) -> Weights:
    norm = f"{source}_depthwise/BatchNorm"
    return _convolution(f"{name}.pointwise", weights, f"{source}_pointwise") | {
        f"{name}.depthwise.weight": depthwise_convolution(
            weights[f"{source}_depthwise/depthwise_weights"]
        ),
        f"{name}.norm.weight": weights[f"{norm}/gamma"],
        f"{name}.norm.bias": weights[f"{norm}/beta"],
        f"{name}.norm.running_mean": weights[f"{norm}/moving_mean"],
        f"{name}.norm.running_var": weights[f"{norm}/moving_variance"],
        f"{name}.norm.num_batches_tracked": torch.zeros((), dtype=torch.int64),
    }
