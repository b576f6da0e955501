"""Whether somebody speaks, 31 times a second.

Source: the weights of Silero VAD 6.2 (Silero Team, MIT). Rebuilt from the weights' shapes and the
package's description; compared with the original network in tests/parity.
"""

import onnx
import torch
from torch import nn
from torch.nn import functional

CHUNK = 512
"""Samples per answer: 32 ms at 16 kHz."""

CONTEXT = 64
"""Samples of the chunk before that are looked at again."""

TRANSFORM = 256
STRIDES = (1, 2, 2, 1)
WIDTHS = (TRANSFORM // 2 + 1, 128, 64, 64, 128)
STATE = 128


class VoiceActivity(nn.Module):
    """Sound -> hidden states and the probability of speech, chunk by chunk."""

    def __init__(self) -> None:
        super().__init__()
        self.transform = nn.Conv1d(1, 2 * WIDTHS[0], TRANSFORM, stride=TRANSFORM // 2, bias=False)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width_in, width_out, 3, stride, padding=1)
            for width_in, width_out, stride in zip(WIDTHS, WIDTHS[1:], STRIDES, strict=False)
        )
        self.memory = nn.LSTM(STATE, STATE, batch_first=True)
        self.last = nn.Linear(STATE, 1)

    def forward(self, sound: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Listen, from silence on.

        Args:
            sound: float32 [N, samples], 16 kHz, in [-1, 1]. What is left after the last whole
                chunk is not heard.

        Returns:
            Hidden states float32 [N, chunks, 128], probabilities of speech float32 [N, chunks].
        """
        count = sound.shape[1] // CHUNK
        chunks = sound[:, : count * CHUNK].reshape(-1, count, CHUNK)
        before = functional.pad(chunks[:, :-1, -CONTEXT:], (0, 0, 1, 0))
        features = self._features(torch.cat([before, chunks], 2).flatten(0, 1))
        states, _ = self.memory(features.reshape(-1, count, STATE))
        return states, torch.sigmoid(self.last(functional.relu(states))).squeeze(2)

    def _features(self, chunks: torch.Tensor) -> torch.Tensor:
        """[M, 576] -> [M, 128]."""
        padded = functional.pad(chunks.unsqueeze(1), (0, CONTEXT), mode="reflect")
        real, imaginary = self.transform(padded).chunk(2, dim=1)
        features: torch.Tensor = (real.square() + imaginary.square()).sqrt()
        for convolution in self.convolutions:
            features = functional.relu(convolution(features))
        return features.squeeze(2)


def state_from(model: onnx.ModelProto) -> dict[str, torch.Tensor]:
    """Return the weights in Silero's ONNX file under the names of `VoiceActivity`."""
    weights = {
        initializer.name: torch.from_numpy(onnx.numpy_helper.to_array(initializer).copy())
        for initializer in model.graph.initializer
    }
    state = {
        "transform.weight": weights["model.stft.forward_basis_buffer"],
        "last.weight": weights["model.decoder.decoder.2.weight"].squeeze(2),
        "last.bias": weights["model.decoder.decoder.2.bias"],
    }
    for kind in ("weight", "bias"):
        for number in range(len(STRIDES)):
            source = f"model.encoder.{number}.reparam_conv.{kind}"
            state[f"convolutions.{number}.{kind}"] = weights[source]
        for gates in ("ih", "hh"):
            state[f"memory.{kind}_{gates}_l0"] = weights[f"model.decoder.rnn.{kind}_{gates}"]
    return state
