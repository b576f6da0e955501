"""Slot `speech_encoder`: a spectrogram of speech -> Whisper base's encoding, in int8.

CTranslate2 takes 1.3 times as long for the same on a processor. On a GPU, `speech_recognizer`
does it with its own copy of the weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.options import Precision
from export.spec import Arrays, Builder, Files, Network, Slot, Tensor, generator

if TYPE_CHECKING:
    from export.networks.whisper_encoder import WhisperEncoder

ARTIFACTS = ("whisper_weights",)
MELS = 80
WIDTH = 512
BLOCK = 128
"""With one scale for all activations of a layer, of which a few are far larger than the rest, more
words were wrong (docs/performance.md)."""
FRAMES = (1000, 400)
"""Of the example inputs, by case. A passage to transcribe has 3,000, which would take too long."""


def load(files: Files) -> WhisperEncoder:
    """Return the encoder, in evaluation mode."""
    from export.networks import whisper_encoder

    return whisper_encoder.load(files[ARTIFACTS[0]])


def examples(batch: int, case: int) -> Arrays:
    """Return noise that changes slowly over time and pitch: float32 [batch, 80, 1000 or 400]."""
    random = generator(batch, case)
    frames = FRAMES[case]
    coarse = random.uniform(-1, 1.5, (batch, MELS // 8, frames // 8)).repeat(8, 1).repeat(8, 2)
    return {"MELS": (coarse + random.normal(0, 0.2, coarse.shape)).astype(np.float32)}


SLOT = Slot(
    name="speech_encoder",
    module=__name__,
    network=Network(
        inputs=(Tensor("MELS", "float32", (MELS, "frames")),),
        outputs=(Tensor("FEATURES", "float32", ("places", WIDTH)),),
        examples=examples,
        cases=len(FRAMES),
        precisions=(Precision.INT8,),
        int8_block=BLOCK,
    ),
    pretrained=Builder(network=load, artifacts=ARTIFACTS),
)
