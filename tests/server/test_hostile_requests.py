"""Requests that no client of ours sends: the server answers them, and goes on serving."""

import asyncio
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from tests.launching import PROJECT, Launched, input_tensors, launched
from vemoclap_client import contract
from vemoclap_client.errors import ServerOverloadedError
from vemoclap_client.server_errors import server_error

TIMEOUT_S = 60
SILENCE = np.zeros((1, 0), np.float32)


def ask(server: Launched, frames: NDArray[Any], audio: NDArray[Any]) -> triton.InferResult:
    clip = {contract.FRAMES: frames, contract.AUDIO: audio}
    return server.infer(contract.ENTRY, clip, client_timeout=TIMEOUT_S)


def analysis(answer: triton.InferResult, clip: int = 0) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(answer.as_numpy(contract.ANALYSIS)[clip, 0])
    return document


def frames_of(height: int, width: int, clips: int = 1) -> NDArray[np.uint8]:
    return np.zeros((clips, 16, height, width, 3), np.uint8)


def assert_it_still_serves(server: Launched) -> None:
    answer = ask(server, frames_of(64, 64), SILENCE)
    np.testing.assert_allclose(answer.as_numpy(contract.PROBABILITIES), 1 / 6, atol=1e-5)


def wait_until_it_serves(server: Launched) -> None:
    """As assert_it_still_serves, once the steps of refused requests have left the queues."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return assert_it_still_serves(server)
        except InferenceServerException as error:
            if error.status() != "StatusCode.UNAVAILABLE" or time.monotonic() > deadline:
                raise
            time.sleep(1)


@pytest.mark.parametrize("size", [(0, 160), (0, 0), (1, 3000), (3000, 1), (8, 4096)])
def test_frames_of_no_use_are_absent(size: tuple[int, int], server: Launched) -> None:
    for _ in range(3):
        answer = ask(server, frames_of(*size), SILENCE)
        assert set(analysis(answer)["absent"]) == {"audio", "face", "speech", "text"}
    assert_it_still_serves(server)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_sound_that_is_not_sound_gives_finite_answers(value: float, server: Launched) -> None:
    audio = np.full((1, 80_000), value, np.float32)
    answer = ask(server, frames_of(64, 64), audio)
    for name in (contract.PROBABILITIES, contract.CONTRIBUTIONS, *contract.FEATURES.values()):
        assert np.isfinite(answer.as_numpy(name)).all(), name
    assert_it_still_serves(server)


@pytest.mark.parametrize(
    ("frames", "audio"),
    [
        (frames_of(64, 64)[:, :15], SILENCE),
        (frames_of(64, 64)[..., :2], SILENCE),
        (frames_of(64, 64).astype(np.float32), SILENCE),
        (frames_of(64, 64), np.zeros((1, 2, 100), np.float32)),
        (frames_of(64, 64, clips=2), SILENCE),
        (frames_of(16, 16, clips=9), np.zeros((9, 0), np.float32)),
    ],
)
def test_tensors_that_break_the_contract_are_refused(
    frames: NDArray[Any], audio: NDArray[Any], server: Launched
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        ask(server, frames, audio)
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert_it_still_serves(server)


def test_clips_in_one_request_are_answered_one_by_one(server: Launched) -> None:
    audio = np.zeros((2, 64_000), np.float32)
    audio[1] = np.sin(np.arange(64_000) * 0.2)
    answer = ask(server, frames_of(64, 64, clips=2), audio)
    assert "silent" in analysis(answer, 0)["absent"]["audio"]
    assert "audio" not in analysis(answer, 1)["absent"]
    assert answer.as_numpy(contract.LENGTHS)[:, 1].tolist() == [0, 1]


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Launched]:
    """The same models, whose queues give up after a second."""
    repository = tmp_path / "models"
    shutil.copytree(PROJECT / "model_repository", repository, copy_function=os.link)
    for config in repository.glob("*/config.pbtxt"):
        text = re.sub(r"(default_timeout_microseconds): \d+", r"\1: 1000000", config.read_text())
        config.unlink()  # It is a link to the real one.
        config.write_text(text)
    with launched(tmp_path, ["--model-repository", repository]) as running:
        yield running


def test_more_requests_than_it_can_answer_are_refused_and_it_lives_on(impatient: Launched) -> None:
    async def ask_many() -> list[Any]:
        async with triton_aio.InferenceServerClient(impatient.url) as connection:
            clip = input_tensors({contract.FRAMES: frames_of(16, 16), contract.AUDIO: SILENCE})
            requests = (connection.infer(contract.ENTRY, clip) for _ in range(150))
            return await asyncio.gather(*requests, return_exceptions=True)

    answers = asyncio.run(ask_many())
    refused = [answer for answer in answers if isinstance(answer, InferenceServerException)]
    assert 0 < len(refused) < len(answers)
    errors = {type(server_error(error, "", 1, connected=True)) for error in refused}
    assert errors == {ServerOverloadedError}
    wait_until_it_serves(impatient)
