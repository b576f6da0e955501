"""What a window of sound sounds like, in 256 numbers, and whether somebody speaks."""

import torch
from torch import nn

from export.networks.log_mel import LogMelStatistics
from export.networks.voice_activity import VoiceActivity


class AudioEncoder(nn.Module):
    """The mel bands' statistics beside the state of a network that listens for speech."""

    def __init__(self) -> None:
        super().__init__()
        self.bands = LogMelStatistics()
        self.voice = VoiceActivity()

    def forward(self, window: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode windows of sound.

        Args:
            window: float32 [N, 48000], 3 s at 16 kHz, in [-1, 1].

        Returns:
            Features float32 [N, 256]: 64 means and 64 deviations over time of the natural
            logarithm of the mel bands' power, then the mean over time of the voice network's 128
            hidden states. Events float32 [N, 1]: mean probability of speech.
        """
        states, probabilities = self.voice(window)
        features = torch.cat([self.bands(window), states.mean(1)], 1)
        return features, probabilities.mean(1, keepdim=True)
