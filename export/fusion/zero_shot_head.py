"""The zero-shot head: evidence of each modality, by its amount, pooled in log space."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vemoclap_client.audio_windows import HOP_SAMPLES
from vemoclap_client.contract import (
    EMOTIONS,
    EXPRESSIONS,
    FRAME_COUNT,
    MODALITIES,
    SAMPLE_RATE_HZ,
    SEQUENCES,
)

EXPRESSED = {
    "angry": "anger",
    "disgusted": "disgust",
    "fearful": "fear",
    "happy": "joy",
    "sad": "sadness",
    "surprised": "surprise",
}
"""Facial expression -> emotion. `neutral` speaks for none of them."""

DOUBT = 0.1
"""Share of a modality's evidence that is spread evenly, so that none can rule out an emotion."""


AUDIO_HOP_S = HOP_SAMPLES / SAMPLE_RATE_HZ


class ZeroShotHead(nn.Module):
    """Pools what each modality says: p = softmax(sum over modalities of weight * log(6 q)).

    q is a modality's own estimate of the six emotions. An even q says nothing and adds nothing,
    as does an absent modality; without any evidence p is even. The less evidence there is, the
    nearer p is to even: a frame without a face counts as one with a neutral face, and the weight
    of speech grows with the seconds of it.
    """

    sentence_directions: Tensor
    expression_to_emotion: Tensor
    sentence_to_emotion: Tensor
    weights: Tensor
    grows: Tensor
    kept: Tensor

    def __init__(
        self,
        expression_layer: tuple[Tensor, Tensor],
        voice_layer: tuple[Tensor, Tensor],
        sentence_means: Tensor,
        sharpness: float,
        weights: dict[str, float],
        speech_half_s: float,
    ) -> None:
        """Take the numbers that turn features into evidence.

        Args:
            expression_layer: weight float32 [7, face width] and bias float32 [7] that turn a
                face feature into logits of contract.EXPRESSIONS.
            voice_layer: weight float32 [1, states] and bias float32 [1] that turn the last numbers
                of an audio feature, the state of a voice network, into the logit of speech.
            sentence_means: float32 [7, text width], mean embeddings of sentences that convey
                contract.EMOTIONS and, last, none.
            sharpness: factor of the cosine between a text and these.
            weights: modality -> weight of its evidence; those not named have none.
            speech_half_s: seconds of speech that give speech half its weight.
        """
        super().__init__()
        self.expression_weight, self.expression_bias = map(nn.Parameter, expression_layer)
        self.voice_weight, self.voice_bias = map(nn.Parameter, voice_layer)
        self.speech_half_s = speech_half_s
        self.register_buffer("sentence_directions", nn.functional.normalize(sentence_means, dim=1))
        self.sharpness = sharpness
        named = [EXPRESSED.get(expression) for expression in EXPRESSIONS]
        self.register_buffer("expression_to_emotion", _to_emotion(named))
        self.register_buffer("sentence_to_emotion", _to_emotion([*EMOTIONS, None]))
        self.register_buffer("weights", torch.tensor([weights.get(m, 0.0) for m in MODALITIES]))
        grows = [modality == "speech" for modality in MODALITIES]
        self.register_buffer("grows", torch.tensor(grows))
        self.register_buffer("kept", _leave_one_out(len(MODALITIES)))

    def forward(
        self,
        image: Tensor,
        audio: Tensor,
        face: Tensor,
        speech: Tensor,
        text: Tensor,
        lengths: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return PROBABILITIES [n, 6], CONTRIBUTIONS [n, 5, 6] and ATTENTION [n, 3, 16], float32.

        The attention is zero: this head pays none.

        Args:
            image: float32 [n, 16, width]; carries no evidence here.
            audio: float32 [n, 16, width], zero-padded; says how long somebody speaks, no more.
            face: float32 [n, 16, width].
            speech: float32 [n, 1, width].
            text: float32 [n, 1, width].
            lengths: int32 [n, 5], real rows of each.
        """
        nothing = torch.full_like(face[:, 0, :1], 1 / len(EMOTIONS)).expand(-1, len(EMOTIONS))
        estimates = torch.stack(
            [
                nothing,
                nothing,
                self._face(face, lengths[:, 2]),
                self._text(speech),
                self._text(text),
            ],
            dim=1,
        )
        softened = (1 - DOUBT) * estimates + DOUBT / len(EMOTIONS)
        present = (lengths > 0).to(face.dtype)
        seconds = self._speech_s(audio)
        grown = torch.where(self.grows, (seconds / (seconds + self.speech_half_s))[:, None], 1)
        scale = (self.weights * present * grown)[..., None]
        evidence = scale * torch.log(softened * len(EMOTIONS))
        # All variants, everything and each modality left out, in one batch: [n, 6, 6].
        variants = torch.softmax(torch.matmul(self.kept, evidence), dim=-1)
        probabilities = variants[:, 0]
        attention = face.new_zeros(face.shape[0], len(SEQUENCES), FRAME_COUNT)
        return probabilities, probabilities[:, None] - variants[:, 1:], attention

    def _face(self, face: Tensor, length: Tensor) -> Tensor:
        """Mean over all frames, even where there is no face: float32 [n, 6]."""
        logits = nn.functional.linear(face, self.expression_weight, self.expression_bias)
        rows = torch.softmax(logits, dim=-1) @ self.expression_to_emotion
        real = (torch.arange(face.shape[1]) < length[:, None]).to(face.dtype)[..., None]
        return (rows * real + (1 - real) / len(EMOTIONS)).mean(1)

    def _speech_s(self, audio: Tensor) -> Tensor:
        """Seconds in which somebody speaks, float32 [n], at most those that 16 windows cover.

        Sound without windows is at most 3 s long: AUDIO_HOP_S are taken for speech. The amount
        belongs to the speech: it is the same for the answer without the audio.
        """
        states = audio[..., -self.voice_weight.shape[1] :]
        logits = nn.functional.linear(states.relu(), self.voice_weight, self.voice_bias)
        real = (audio != 0).any(-1).to(audio.dtype)
        windows = real.sum(1)
        spoken = (torch.sigmoid(logits[..., 0]) * real).sum(1)
        # Windows overlap by half: n of them cover n + 1 hops.
        covered_s = AUDIO_HOP_S * (windows + 1)
        return torch.where(windows > 0, spoken / windows.clamp(min=1), 1) * covered_s

    def _text(self, text: Tensor) -> Tensor:
        """What a text's nearness to the sentences says, float32 [n, 6]."""
        direction = nn.functional.normalize(text[:, 0], dim=-1)
        cosines = direction @ self.sentence_directions.T
        return torch.softmax(self.sharpness * cosines, dim=-1) @ self.sentence_to_emotion


def _to_emotion(names: list[str | None]) -> Tensor:
    """Rows that give each class to its emotion; a class without one is spread evenly."""
    even = torch.full((len(EMOTIONS),), 1 / len(EMOTIONS))
    own = torch.eye(len(EMOTIONS))
    return torch.stack([even if name is None else own[EMOTIONS.index(name)] for name in names])


def _leave_one_out(count: int) -> Tensor:
    """Row 0 keeps all, row i all but modality i - 1: float32 [count + 1, count]."""
    return torch.cat([torch.ones(1, count), torch.ones(count, count) - torch.eye(count)])
