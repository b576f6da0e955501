"""The speech recogniser on a tiny Whisper with random weights: it loads and runs offline."""

import asyncio
import json
import shutil
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctranslate2 import StorageView
from numpy.typing import NDArray

from export.errors import UnknownNameError
from export.networks.byte_tokenizer import byte_level
from export.slots.paper import speech_recognizer
from server.slots import speech
from server.slots.slot import CPU, STAMP, Device, OverloadedError, Tensors
from tests.parity.sounds import speech as sample_speech

WIDTH = 4


async def encode(slot: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> Tensors:
    """Answers for slot text_encoder."""
    assert slot == "text_encoder"
    answer = {"FEATURES": np.ones((1, WIDTH)), "SENTIMENT": np.float32([[0.2, 0.3, 0.5]])}
    return {name: answer[name] for name in outputs}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    speech_recognizer.make_random(0, folder / "speech_recognizer")
    (folder / "text_encoder").mkdir()
    byte_level(300).save(str(folder / "text_encoder" / "tokenizer.json"))
    return folder


@pytest.fixture
def sound() -> NDArray[np.float32]:
    return sample_speech()[:48_000]


@pytest.fixture
def recognizer(
    repository: Path, sound: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> speech.SpeechRecognizer:
    """Made once the sound is there, since from here on there is no network."""

    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return speech.SpeechRecognizer(repository / "speech_recognizer" / "1")


def test_it_hears_128_mel_bins_and_every_language(recognizer: speech.SpeechRecognizer) -> None:
    assert recognizer._whisper.model.n_mels == 128
    assert recognizer._whisper.feature_extractor.mel_filters.shape[0] == 128
    assert len(recognizer._whisper.supported_languages) == 100


def test_what_it_guesses_is_no_speech(
    recognizer: speech.SpeechRecognizer, sound: NDArray[np.float32]
) -> None:
    outputs = asyncio.run(recognizer.run({"AUDIO": sound}, encode))
    assert outputs["LENGTH"] == [0]
    assert json.loads(outputs["EVIDENCE"][0])["absent"] == "no speech was recognised"


def test_where_every_guess_counts_it_is_transcribed_translated_and_encoded(
    recognizer: speech.SpeechRecognizer,
    sound: NDArray[np.float32],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guess(monkeypatch)
    outputs = asyncio.run(recognizer.run({"AUDIO": sound}, encode))
    assert outputs["LENGTH"] == [1]
    heard = json.loads(outputs["EVIDENCE"][0])["speech"]
    assert heard["language"] != "en"
    assert heard["text"] != " ".join(segment["text"] for segment in heard["segments"])
    assert heard["sentiment"]["positive"] == 0.5


def guess(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has every guess of the random Whisper count."""
    monkeypatch.setattr(speech, "LOG_PROBABILITY_THRESHOLD", -np.inf)
    monkeypatch.setattr(speech, "NO_SPEECH_THRESHOLD", np.inf)
    monkeypatch.setattr(speech, "COMPRESSION_RATIO_THRESHOLD", np.inf)


def test_a_processor_encodes_by_the_slot_where_there_is_one(
    recognizer: speech.SpeechRecognizer,
    sound: NDArray[np.float32],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guess(monkeypatch)
    spectrograms: list[tuple[int, ...]] = []

    async def infer(
        slot: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> Tensors:
        if slot != speech.ENCODER:
            return await encode(slot, inputs, outputs)
        (mels,) = inputs["MELS"]
        spectrograms.append(mels.shape)
        encoded = recognizer._whisper.model.encode(StorageView.from_array(inputs["MELS"]))
        return {"FEATURES": np.array(encoded)}

    def heard() -> Any:
        outputs = asyncio.run(recognizer.run({"AUDIO": sound}, infer))
        return json.loads(outputs["EVIDENCE"][0])["speech"]

    by_itself = heard()
    assert not spectrograms
    recognizer._has_encoder = True
    recognizer._whisper._encoded = None
    assert heard() == by_itself
    assert spectrograms[-1] == (128, 3000)
    assert all(frames % 2 == 0 for _, frames in spectrograms)


def test_clips_that_wait_for_their_turn_leave_the_pool_to_the_calls(
    recognizer: speech.SpeechRecognizer, sound: NDArray[np.float32]
) -> None:
    async def infer(
        slot: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> Tensors:
        # Triton calls a slot in a thread of this pool.
        await asyncio.to_thread(lambda: None)
        if slot != speech.ENCODER:
            return await encode(slot, inputs, outputs)
        return {"FEATURES": np.zeros((1, inputs["MELS"].shape[2] // 2, 64), np.float32)}

    async def run_three() -> list[Tensors]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        runs = (recognizer.run({"AUDIO": sound}, infer) for _ in range(3))
        return await asyncio.wait_for(asyncio.gather(*runs), 60)

    recognizer._has_encoder = True
    assert len(asyncio.run(run_three())) == 3


def test_an_encoder_with_too_much_to_do_is_said_so(
    recognizer: speech.SpeechRecognizer, sound: NDArray[np.float32]
) -> None:
    async def infer(
        slot: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> Tensors:
        if slot == speech.ENCODER:
            raise OverloadedError("slot speech_encoder: busy")
        return await encode(slot, inputs, outputs)

    recognizer._has_encoder = True
    with pytest.raises(OverloadedError, match="speech_encoder"):
        asyncio.run(recognizer.run({"AUDIO": sound}, infer))


@pytest.mark.parametrize(
    ("device", "is_filled"), [(CPU, True), (CPU, False), (Device("cuda"), True)]
)
def test_which_device_encodes_by_the_slot(
    device: Device,
    is_filled: bool,
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(repository, tmp_path, dirs_exist_ok=True)
    if is_filled:
        (tmp_path / speech.ENCODER / "1").mkdir(parents=True)
        (tmp_path / speech.ENCODER / STAMP).touch()
    monkeypatch.setattr(speech, "Whisper", lambda *_, **__: None)
    made = speech.SpeechRecognizer(tmp_path / "speech_recognizer" / "1", device)
    assert made._has_encoder == (is_filled and device is CPU)


def test_a_seed_gives_the_same_weights_and_another_seed_others(
    repository: Path, tmp_path: Path
) -> None:
    def weights(seed: int) -> bytes:
        speech_recognizer.make_random(seed, tmp_path)
        return (tmp_path / "1" / "whisper" / "model.bin").read_bytes()

    first = (repository / "speech_recognizer" / "1" / "whisper" / "model.bin").read_bytes()
    assert weights(0) == first
    assert weights(1) != first


@pytest.mark.parametrize(
    ("size", "artifact"),
    [
        ("large-v3", "whisper_large_v3_model"),
        ("base", "whisper_weights"),
        ("tiny", "whisper_tiny_model"),
    ],
)
def test_the_size_is_a_setting(size: str, artifact: str) -> None:
    filled = speech_recognizer.slot(size).pretrained
    assert filled is not None
    assert filled.files["1/whisper/model.bin"] == artifact


def test_an_unknown_size_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"'huge'; there are: large-v3, medium"):
        speech_recognizer.slot("huge")
