"""Our rebuilt voice network, over a whole window at once, against Silero's own, chunk by chunk."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from export.networks.voice_activity import CHUNK, CONTEXT, STATE
from export.parity import open_session
from export.slots import audio_encoder
from export.weights import fetch, fetch_all
from tests.parity.sounds import speech

TOLERANCE = 1e-5

pytestmark = pytest.mark.parity


def original(window: npt.NDArray[np.float32]) -> tuple[list[float], list[npt.NDArray[np.float32]]]:
    """Run silero_vad.onnx over a window and return its probabilities and hidden states."""
    session = open_session(fetch("voice_activity_reference"))
    state = np.zeros((2, 1, STATE), np.float32)
    padded = np.concatenate([np.zeros(CONTEXT, np.float32), window])
    probabilities, states = [], []
    for start in range(0, len(window) - CHUNK + 1, CHUNK):
        chunk = padded[None, start : start + CONTEXT + CHUNK]
        rate_hz = np.array(16_000, np.int64)
        answer, state = session.run(None, {"input": chunk, "state": state, "sr": rate_hz})
        probabilities.append(float(answer[0, 0]))
        states.append(state[0, 0])
    return probabilities, states


@pytest.mark.parametrize("case", ["speech", "noise", "tone"])
def test_the_voice_network_answers_as_the_original(case: str) -> None:
    window = {
        "speech": speech()[: audio_encoder.WINDOW],
        "noise": audio_encoder.examples(1, audio_encoder.NOISE)["WINDOW"][0],
        "tone": audio_encoder.examples(1, audio_encoder.TONE)["WINDOW"][0],
    }[case]
    network = audio_encoder.load(fetch_all(audio_encoder.ARTIFACTS)).voice
    with torch.inference_mode():
        states, found = network(torch.from_numpy(window)[None])
    expected, expected_states = original(window)
    assert found.shape == (1, 93)
    assert np.abs(found[0].numpy() - expected).max() < TOLERANCE
    assert np.abs(states[0].numpy() - np.array(expected_states)).max() < TOLERANCE


def test_speech_is_heard_and_silence_is_not() -> None:
    windows = np.stack([speech()[: audio_encoder.WINDOW], np.zeros(audio_encoder.WINDOW)])
    network = audio_encoder.load(fetch_all(audio_encoder.ARTIFACTS))
    with torch.inference_mode():
        _, events = network(torch.from_numpy(windows.astype(np.float32)))
    assert events[0] > 0.5
    assert events[1] < 0.1
