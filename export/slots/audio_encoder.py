"""Slot `audio_encoder`: a window of sound -> its feature and the probabilities of its events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.spec import Arrays, Builder, Files, Network, Slot, Tensor, generator
from vemoclap_client.contract import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    import torch

    from export.networks.audio_encoder import AudioEncoder

WINDOW = 3 * SAMPLE_RATE_HZ
FEATURES = 256
ARTIFACTS = ("voice_activity_weights",)
EVENTS = ("Speech",)
"""AudioSet's name of what this profile can hear, in the order of EVENTS."""

NOISE, TONE = 0, 1


def load(files: Files) -> AudioEncoder:
    """Return the encoder with Silero's weights, in evaluation mode."""
    import onnx

    from export.networks import audio_encoder, voice_activity

    network = audio_encoder.AudioEncoder()
    original = onnx.load(files["voice_activity_weights"])
    network.voice.load_state_dict(voice_activity.state_from(original))
    return network.eval()


def voice_layer(files: Files) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what turns the voice network's state, the last of FEATURES, into the logit of speech.

    EVENTS is the mean over time of sigmoid(relu(state) @ weight.T + bias), FEATURES has the mean
    state.

    Returns:
        Weight float32 [1, 128] and bias float32 [1].
    """
    last = load(files).voice.last
    return last.weight.detach(), last.bias.detach()


def examples(batch: int, case: int) -> Arrays:
    """Return noise that swells, or a tone between silences: float32 [batch, 48000]."""
    random = generator(batch, case)
    time_s = np.arange(WINDOW) / SAMPLE_RATE_HZ
    if case == TONE:
        pitch_hz = random.uniform(100, 800, (batch, 1))
        sound = 0.5 * np.sin(2 * np.pi * pitch_hz * time_s) * (np.abs(time_s - 1.5) < 0.7)
    else:
        sound = random.normal(0, 0.2, (batch, WINDOW)) * np.sin(np.pi * time_s) ** 2
    return {"WINDOW": sound.astype(np.float32)}


def interface(features: int, events: int) -> Network:
    """Return the slot's network for a feature of this width and this number of events."""
    return Network(
        inputs=(Tensor("WINDOW", "float32", (WINDOW,)),),
        outputs=(
            Tensor("FEATURES", "float32", (features,)),
            Tensor("EVENTS", "float32", (events,)),
        ),
        examples=examples,
        cases=2,
    )


SLOT = Slot(
    name="audio_encoder",
    module=__name__,
    network=interface(FEATURES, len(EVENTS)),
    texts={"labels.txt": "".join(f"{event}\n" for event in EVENTS)},
    pretrained=Builder(network=load, artifacts=ARTIFACTS),
)
