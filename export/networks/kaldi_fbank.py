"""Kaldi's mel filter banks, as BEATs was trained on them, out of ordinary operators."""

import torch
from torch import nn

from export.networks.log_mel import FRAME, RATE_HZ, STEP, fourier_basis

TRANSFORM = 512
"""Points of the Fourier transform: the next power of two above a frame."""

BANDS = 128
LOWEST_HZ = 20.0
HIGHEST_HZ = RATE_HZ / 2
PREEMPHASIS = 0.97
FULL_SCALE = 2.0**15
"""Kaldi counts in 16-bit samples."""

POWER_FLOOR = torch.finfo(torch.float32).eps


class KaldiFbank(nn.Module):
    """Sound -> logarithm of the power in 128 mel bands, every 10 ms.

    Equal to torchaudio.compliance.kaldi.fbank(sound * 2**15, num_mel_bins=128,
    sample_frequency=16000, frame_length=25, frame_shift=10), which neither exporter can write.
    Precomputed matrices stand at the left of their products: dynamic quantisation, which takes
    constants at the right, leaves them alone. Under it logarithms of faint bands would be noise.

    Source: Kaldi's compute-fbank-feats, in its defaults but for the dither, which is 0.
    """

    basis: torch.Tensor
    filters: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        # Kaldi's "povey" window: a symmetric Hann window to the power of 0.85.
        window = torch.hann_window(FRAME, periodic=False, dtype=torch.float64) ** 0.85
        self.register_buffer("basis", fourier_basis(window, TRANSFORM), persistent=False)
        self.register_buffer("filters", mel_filters(), persistent=False)

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        """Float32 [N, samples] in [-1, 1] -> float32 [N, frames, 128].

        The samples are a multiple of 160; only whole frames count: 48000 samples have 298.
        """
        frames = whole_frames(sound * FULL_SCALE)
        # Apart from the Fourier transform: folded into it, what rounding leaves of an offset would
        # exceed the floor.
        frames = frames - frames.mean(2, keepdim=True)
        earlier = torch.cat([frames[:, :, :1], frames[:, :, :-1]], 2)
        emphasised = frames - PREEMPHASIS * earlier
        spectrum = torch.matmul(self.basis, emphasised.transpose(1, 2))
        real, imaginary = spectrum.chunk(2, dim=1)
        power = torch.matmul(self.filters, real.square() + imaginary.square())
        return torch.log(power.clamp(min=POWER_FLOOR)).transpose(1, 2)


def whole_frames(sound: torch.Tensor) -> torch.Tensor:
    """Cut float32 [N, 160 k] into overlapping frames [N, k - 2, 400].

    A frame is two and a half steps long, so three neighbouring steps side by side hold it: this
    copies nothing but what is needed, and is written as plain slices.
    """
    steps = torch.unflatten(sound, 1, (-1, STEP))
    last = steps[:, 2:, : FRAME - 2 * STEP]
    return torch.cat([steps[:, :-2], steps[:, 1:-1], last], 2)


def mel_filters() -> torch.Tensor:
    """Return float32 [128, 257]: triangles on the mel scale; the highest bin counts for none.

    Source: Kaldi's mel banks, mel = 1127 ln(1 + f / 700 Hz), straight in mel rather than in Hz.
    """
    lowest, highest = _to_mel(torch.tensor([LOWEST_HZ, HIGHEST_HZ], dtype=torch.float64)).tolist()
    corners = torch.linspace(lowest, highest, BANDS + 2, dtype=torch.float64)
    bins = torch.arange(TRANSFORM // 2 + 1, dtype=torch.float64)
    mel = _to_mel(bins * RATE_HZ / TRANSFORM)
    below, peak, above = (corners[i : BANDS + i, None] for i in range(3))
    triangles = torch.minimum((mel - below) / (peak - below), (above - mel) / (above - peak))
    filters = triangles.clamp(min=0).float()
    filters[:, -1] = 0
    return filters


def _to_mel(frequency_hz: torch.Tensor) -> torch.Tensor:
    return 1127 * torch.log1p(frequency_hz / 700)
