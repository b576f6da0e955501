"""Layers that several of the networks share."""

import torch
from torch import nn
from torch.nn import functional


class SameConv2d(nn.Conv2d):
    """A convolution padded the way TensorFlow's SAME does: ceil(size / stride) outputs.

    Where the padding is odd, the extra pixel is at the bottom and the right, which is where
    PyTorch's own symmetric padding differs.
    """

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C', ceil(H / stride), ceil(W / stride)]."""
        above, below = self._padding_of(pixels.shape[2])
        before, after = self._padding_of(pixels.shape[3])
        return super().forward(functional.pad(pixels, (before, after, above, below)))

    def _padding_of(self, size: int) -> tuple[int, int]:
        kernel, stride = self.kernel_size[0], self.stride[0]
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2


def depthwise(channels: int, kernel: int, stride: int) -> SameConv2d:
    """Return a convolution that treats every channel by itself, without a bias."""
    return SameConv2d(channels, channels, kernel, stride, groups=channels, bias=False)


def attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int
) -> torch.Tensor:
    """Scaled dot-product attention: float32 [N, places, width] each -> the same.

    In ONNX it is ONNX Runtime's own operator, which computes it block by block and never holds all
    places x places products.
    """
    if torch.compiler.is_exporting():
        return torch.onnx.ops.symbolic(
            "com.microsoft::MultiHeadAttention",
            (query, key, value),
            {"num_heads": heads},
            dtype=query.dtype,
            shape=query.shape,
            version=1,
        )

    def divide(states: torch.Tensor) -> torch.Tensor:
        return states.reshape(*states.shape[:2], heads, -1).transpose(1, 2)

    attended = functional.scaled_dot_product_attention(divide(query), divide(key), divide(value))
    return attended.transpose(1, 2).flatten(2)
