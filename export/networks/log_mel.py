"""How loud each pitch band is, over a window of sound."""

import math

import torch
from torch import nn
from torch.nn import functional

RATE_HZ = 16_000
FRAME = RATE_HZ * 25 // 1000
"""25 ms: 400 samples."""

STEP = RATE_HZ * 10 // 1000
"""10 ms: 160 samples."""

TRANSFORM = 1024
"""Points of the Fourier transform: bins of 15.6 Hz, so that no band falls between two of them."""

BANDS = 64
LOWEST_HZ = 60.0
HIGHEST_HZ = 7800.0
POWER_FLOOR = 1e-6
"""-100 dB of a full-scale tone, whose power in a Hann window of 400 samples is 1e4."""


class LogMelStatistics(nn.Module):
    """Sound -> mean and deviation over time of the logarithm of the power in 64 mel bands.

    The Fourier transform is a convolution with windowed cosines and sines: an ordinary operator,
    where ONNX's own STFT is missing on some backends.
    """

    basis: torch.Tensor
    filters: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        window = torch.hann_window(FRAME, dtype=torch.float64)
        basis = fourier_basis(window, TRANSFORM).unsqueeze(1)
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("filters", mel_filters(), persistent=False)

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        """Float32 [N, samples] in [-1, 1] -> float32 [N, 128]: 64 means, then 64 deviations."""
        spectrum = functional.conv1d(sound.unsqueeze(1), self.basis, stride=STEP)
        real, imaginary = spectrum.chunk(2, dim=1)
        power = torch.matmul(self.filters, real.square() + imaginary.square())
        levels = torch.log(power.clamp(min=POWER_FLOOR))
        mean = levels.mean(2, keepdim=True)
        deviation = (levels - mean).square().mean(2).sqrt()
        return torch.cat([mean.squeeze(2), deviation], 1)


def fourier_basis(window: torch.Tensor, points: int) -> torch.Tensor:
    """Return float32 [2 * (points / 2 + 1), 400]: cosines, then sines, under the window.

    Args:
        window: float64 [400].
        points: of the Fourier transform.
    """
    samples = torch.arange(FRAME, dtype=torch.float64)
    bins = torch.arange(points // 2 + 1, dtype=torch.float64)
    angles = 2 * math.pi / points * bins[:, None] * samples
    return (torch.cat([angles.cos(), angles.sin()]) * window).float()


def mel_filters() -> torch.Tensor:
    """Return float32 [64, 513]: triangles, equally spaced and half overlapping on the mel scale.

    Source: O'Shaughnessy's formula, mel = 2595 log10(1 + f / 700 Hz).
    """
    lowest, highest = _to_mel(LOWEST_HZ), _to_mel(HIGHEST_HZ)
    corners = torch.linspace(lowest, highest, BANDS + 2, dtype=torch.float64)
    corners_hz = 700 * (10 ** (corners / 2595) - 1)
    frequencies_hz = torch.arange(TRANSFORM // 2 + 1, dtype=torch.float64) * RATE_HZ / TRANSFORM
    below, peak, above = (corners_hz[i : BANDS + i, None] for i in range(3))
    rising = (frequencies_hz - below) / (peak - below)
    falling = (above - frequencies_hz) / (above - peak)
    return torch.minimum(rising, falling).clamp(min=0).float()


def _to_mel(frequency_hz: float) -> float:
    return 2595 * math.log10(1 + frequency_hz / 700)
