"""Our rebuilt voice network, over a whole window at once, against Silero's own, chunk by chunk."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from export.networks.voice_activity import CHUNK, CONTEXT, STATE
from export.parity import largest_difference, open_session
from export.slots import audio_encoder
from export.weights import fetch, fetch_all
from tests.parity.sounds import speech

TOLERANCE = {"speech": 1e-4, "noise": 1e-4, "tone": 1e-3}
"""Relative to the largest magnitude: more than twice what rounding in float32 alone explains.

Outside a tone's own bands the transform's 256 products cancel and leave their rounding errors.
"""


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
    for ours, theirs in zip(found, expected, strict=True):
        assert largest_difference(ours, theirs) <= TOLERANCE[case]


def test_speech_is_heard_and_silence_is_not() -> None:
    windows = np.stack([speech()[: audio_encoder.WINDOW], np.zeros(audio_encoder.WINDOW)])
    network = audio_encoder.load(fetch_all(audio_encoder.ARTIFACTS))
    with torch.inference_mode():
        _, events = network(torch.from_numpy(windows.astype(np.float32)))
    assert events[0] > 0.5
    assert events[1] < 0.1
