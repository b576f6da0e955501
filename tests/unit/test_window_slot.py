"""Model vemoclap_window: rows and words of a window -> the head's answer."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from export.networks.byte_tokenizer import byte_level
from server.slots.slot import Tensors
from server.slots.window import WindowFuser
from vemoclap_client import contract

TOKENIZER = byte_level(300)
HEAD = {"kind": "zero-shot", "trained_on": None, "profile": "embedded"}


class Slots:
    """A fake text encoder, head and feature encoders; remembers what the head was asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.fused: dict[str, NDArray[Any]] = {}

    async def __call__(
        self, slot: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> Tensors:
        if slot == "fusion":
            self.fused = dict(inputs)
            return {
                "PROBABILITIES": np.full((1, 6), 1 / 6, np.float32),
                "CONTRIBUTIONS": np.zeros((1, 5, 6), np.float32),
                "HEAD": np.array([[json.dumps(HEAD).encode()]], object),
            }
        if slot == "text_encoder":
            for ids, mask in zip(inputs["INPUT_IDS"], inputs["ATTENTION_MASK"], strict=True):
                self.texts.append(TOKENIZER.decode(ids[mask == 1].tolist()))
            rows = len(inputs["INPUT_IDS"])
            return {
                "FEATURES": np.full((rows, 5), len(self.texts), np.float32),
                "SENTIMENT": np.ones((rows, 3), np.float32),
            }
        width = {"audio_encoder": 4, "face_expression": 2}[slot]
        return {"FEATURES": np.ones((1, width), np.float32)}


@pytest.fixture
def fuser(tmp_path: Path) -> WindowFuser:
    for slot in ("text_encoder", "audio_encoder"):
        (tmp_path / slot).mkdir()
    TOKENIZER.save(str(tmp_path / "text_encoder" / "tokenizer.json"))
    (tmp_path / "audio_encoder" / "labels.txt").write_text("Music\nSpeech\nBark\n")
    return WindowFuser(tmp_path / contract.WINDOW_MODEL / "1")


def window(
    faces: int, sounds: int, events: Sequence[float], speech: str, texts: Sequence[str]
) -> Tensors:
    return {
        "IMAGE_FEATURES": np.ones((16, 3), np.float32),
        "FACE_FEATURES": np.ones((faces, 2 if faces else 0), np.float32),
        "AUDIO_FEATURES": np.ones((sounds, 4 if sounds else 0), np.float32),
        "EVENTS": np.array(events, np.float32),
        "SPEECH_TEXT": np.array([speech.encode()], object),
        "SCREEN_TEXTS": np.array([text.encode() for text in texts], object),
    }


def test_rows_and_words_are_padded_and_fused(fuser: WindowFuser) -> None:
    slots = Slots()
    texts = ["So Happy", "so happy", "this is an english sentence about the weather"]
    given = window(3, 2, [0.3, 0.9, 0.05], "I am glad", texts)
    outputs = asyncio.run(fuser.run(given, slots))
    assert slots.texts == ["I am glad", ". ".join(["so happy", texts[2]])]
    assert slots.fused["LENGTHS"].tolist() == [[16, 2, 3, 1, 1]]
    assert {name: tensor.shape for name, tensor in slots.fused.items()} == {
        "LENGTHS": (1, 5),
        "IMAGE_FEATURES": (1, 16, 3),
        "AUDIO_FEATURES": (1, 16, 4),
        "FACE_FEATURES": (1, 16, 2),
        "SPEECH_FEATURES": (1, 1, 5),
        "TEXT_FEATURES": (1, 1, 5),
    }
    assert slots.fused["FACE_FEATURES"].sum() == 3 * 2
    assert outputs["PROBABILITIES"].shape == (6,)
    assert outputs["CONTRIBUTIONS"].shape == (5, 6)
    assert json.loads(outputs["EVIDENCE"][0]) == {
        "profile": "embedded",
        "head": {"kind": "zero-shot", "trained_on": None},
        "screen_text": ". ".join(["so happy", texts[2]]),
        "text_absent": None,
        "audio_events": [
            {"name": "Speech", "probability": 0.9},
            {"name": "Music", "probability": 0.3},
        ],
    }


def test_what_is_absent_is_zeros_of_the_usual_width(fuser: WindowFuser) -> None:
    slots = Slots()
    outputs = asyncio.run(fuser.run(window(0, 0, [], "", []), slots))
    assert slots.texts == [""]  # How wide features are.
    assert slots.fused["LENGTHS"].tolist() == [[16, 0, 0, 0, 0]]
    widths = {name: tensor.shape[-1] for name, tensor in slots.fused.items()}
    assert widths["AUDIO_FEATURES"] == 4
    assert widths["FACE_FEATURES"] == 2
    assert widths["SPEECH_FEATURES"] == widths["TEXT_FEATURES"] == 5
    document = json.loads(outputs["EVIDENCE"][0])
    assert (document["screen_text"], document["text_absent"]) == (None, contract.NO_TEXT)
    assert document["audio_events"] == []


def test_text_that_cannot_be_translated_is_shown_and_not_fused(fuser: WindowFuser) -> None:
    slots = Slots()
    german = "das ist ganz bestimmt ein deutscher satz über das wetter"
    outputs = asyncio.run(fuser.run(window(0, 0, [], "", [german]), slots))
    assert slots.fused["LENGTHS"].tolist() == [[16, 0, 0, 0, 0]]
    document = json.loads(outputs["EVIDENCE"][0])
    assert document["screen_text"] == german
    assert "cannot translate" in document["text_absent"]
