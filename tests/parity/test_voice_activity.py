"""Our rebuilt voice network, over a whole window at once, against Silero's own, chunk by chunk."""

import copy

import numpy as np
import numpy.typing as npt
import pytest
import torch

from export.networks.voice_activity import CHUNK, CONTEXT, STATE, TRANSFORM, VoiceActivity
from export.parity import largest_difference, open_session
from export.slots import audio_encoder
from export.weights import fetch, fetch_all
from tests.parity.sounds import speech

ROUNDING = TRANSFORM**0.5 * 2.0**-24
"""Relative error of a float32 sum of the transform's 256 products, each rounded by up to 2^-24."""


def float32_allows(network: VoiceActivity, window: npt.NDArray[np.float32]) -> tuple[float, float]:
    """How far two float32 computations of the states and of the probabilities may differ.

    A rounding error in a sum has the effect of an error of that size in its terms. So: twice as
    far, since both round, as the result in float64 moves when weights and samples are off by
    `ROUNDING`; relative to its largest magnitude. Of the states that is 4e-4 for a tone, 3e-5 for
    speech and 2e-5 for noise: outside the tone's own bands the 256 products cancel, and what is
    left is their rounding error.
    """
    exact = copy.deepcopy(network).double()
    sound = torch.from_numpy(window).double()[None]
    random = torch.Generator().manual_seed(0)
    moved: list[tuple[float, float]] = []
    with torch.inference_mode():
        expected = exact(sound)
        for _ in range(4):
            off = copy.deepcopy(exact)
            for values in (*off.parameters(), noisy := sound.clone()):
                error = torch.rand(values.shape, generator=random, dtype=values.dtype)
                values.mul_(1 + ROUNDING * (2 * error - 1))
            found = off(noisy)
            pairs = zip(found, expected, strict=True)
            moved.append(tuple(largest_difference(a.numpy(), b.numpy()) for a, b in pairs))
    return tuple(2 * max(column) for column in zip(*moved, strict=True))


def original(window: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    """Run silero_vad.onnx over a window: hidden states [1, chunks, 128], probabilities."""
    session = open_session(fetch("voice_activity_reference"))
    state = np.zeros((2, 1, STATE), np.float32)
    padded = np.concatenate([np.zeros(CONTEXT, np.float32), window])
    probabilities, states = [], []
    for start in range(0, len(window) - CHUNK + 1, CHUNK):
        chunk = padded[None, start : start + CONTEXT + CHUNK]
        rate_hz = np.array(16_000, np.int64)
        answer, state = session.run(None, {"input": chunk, "state": state, "sr": rate_hz})
        probabilities.append(answer[:, 0])
        states.append(state[0])
    return [np.stack(states, 1), np.stack(probabilities, 1)]


@pytest.mark.parametrize("case", ["speech", "noise", "tone"])
def test_the_voice_network_answers_as_the_original(case: str) -> None:
    window = {
        "speech": speech()[: audio_encoder.WINDOW],
        "noise": audio_encoder.examples(1, audio_encoder.NOISE)["WINDOW"][0],
        "tone": audio_encoder.examples(1, audio_encoder.TONE)["WINDOW"][0],
    }[case]
    network = audio_encoder.load(fetch_all(audio_encoder.ARTIFACTS)).voice
    with torch.inference_mode():
        found = [values.numpy() for values in network(torch.from_numpy(window)[None])]
    expected = original(window)
    assert found[1].shape == (1, 93)
    for ours, theirs, allowed in zip(found, expected, float32_allows(network, window), strict=True):
        assert largest_difference(ours, theirs) <= allowed


def test_speech_is_heard_and_silence_is_not() -> None:
    windows = np.stack([speech()[: audio_encoder.WINDOW], np.zeros(audio_encoder.WINDOW)])
    network = audio_encoder.load(fetch_all(audio_encoder.ARTIFACTS))
    with torch.inference_mode():
        _, events = network(torch.from_numpy(windows.astype(np.float32)))
    assert events[0] > 0.5
    assert events[1] < 0.1
