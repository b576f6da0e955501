"""The rows and words of a timeline's windows, gathered from parts that were encoded once."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from vemoclap_client._gathering import EncodedParts, GatheredWindow
from vemoclap_client._rows import texts_of_frames
from vemoclap_client.analysis import (
    Face,
    FaceEvidence,
    ScreenText,
    Speech,
    SpeechEvidence,
    SpeechSegment,
    SpokenWord,
    TextEvidence,
    TextLine,
)
from vemoclap_client.contract import (
    AUDIO_ENCODER,
    EVENTS,
    EXPRESSIONS,
    FEATURES,
    FRAME_MODEL,
    NO_FACE,
    NO_SPEECH,
    SCREEN_TEXTS,
    SPEECH_RECOGNIZER,
    SPEECH_TEXT,
)
from vemoclap_client.media._sound_parts import AudioWindows, SpeechPiece, WindowSound
from vemoclap_client.media.parts import DecodedWindow, FrameBlock
from vemoclap_client.requests import Response

Value = TypeVar("Value")
BOX = (0.0, 0.0, 1.0, 1.0)
HAPPY = dict.fromkeys(EXPRESSIONS, 0.0) | {"happy": 1.0}
WITH_FACES = (0, 3, 8, 9)
"""Frames of each block that show a face."""


class Tensors:
    """A response."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        self._tensors = tensors

    def as_numpy(self, name: str) -> NDArray[Any]:
        return self._tensors[name]


def document(evidence: object) -> NDArray[Any]:
    return np.array([[msgspec.json.encode(evidence)]], object)


def frames_answer(block: int) -> Tensors:
    """Features are the number of the frame in the clip; a line of text from frame 4 to 11."""
    numbers = 16 * block + np.arange(16, dtype=np.float32)
    faces = np.zeros((1, 16, 2), np.float32)
    faces[0, : len(WITH_FACES)] = numbers[list(WITH_FACES)][:, None]
    lines = (TextLine(4, BOX, f"Line {block}", 0.9),)
    text = ScreenText(f"line {block}", "en", lines, None)
    found = tuple(Face(frame, BOX, 0.9, HAPPY) for frame in WITH_FACES)
    return Tensors(
        {
            FEATURES["image"]: np.tile(numbers[:, None], (1, 3))[None],
            FEATURES["face"]: faces,
            "FACE_EVIDENCE": document(FaceEvidence(faces=found)),
            "TEXT_EVIDENCE": document(TextEvidence(screen_text=text, frames_read=(0, 4, 12))),
        }
    )


class Server:
    """Answers at once; what it says of a piece of sound is `words`."""

    def __init__(self, words: SpeechEvidence) -> None:
        self.words = words
        self.asked: list[str] = []

    def __call__(
        self, request: dict[str, Any], parse: Callable[[Response], Value]
    ) -> Future[Value]:
        model = request["model_name"]
        shape = request["inputs"][0].shape()
        if model == FRAME_MODEL:
            answer = frames_answer(self.asked.count(FRAME_MODEL))
        elif model == AUDIO_ENCODER:
            rows = self.asked.count(AUDIO_ENCODER) + np.zeros((shape[0], 4), np.float32)
            answer = Tensors({"FEATURES": rows, EVENTS: rows + 1})
        else:
            assert model == SPEECH_RECOGNIZER
            answer = Tensors({"EVIDENCE": document(self.words)})
        self.asked.append(model)
        future: Future[Value] = Future()
        future.set_result(parse(answer))
        return future


def make_window(first: int, start_s: float, sound: WindowSound, count: int = 3) -> DecodedWindow:
    times_s = tuple(start_s + i * 0.5 for i in range(16))
    frames = tuple(range(first, first + 16))
    return DecodedWindow(0, count, start_s, start_s + 8, 20, frames, times_s, sound, ())


def said(text: str, absent: str | None = None) -> SpeechEvidence:
    """Words from 4 s on, one a second."""
    words = tuple(SpokenWord(4.5 + i, word) for i, word in enumerate(text.split()))
    return SpeechEvidence(absent=absent, words=words)


def gathered(words: SpeechEvidence, window: DecodedWindow) -> GatheredWindow:
    server = Server(words)
    parts = EncodedParts(server)
    for block in range(2):
        parts.submit(FrameBlock(block, np.zeros((16, 2, 2, 3), np.uint8)))
    parts.submit(AudioWindows((0, 24_000), np.zeros((2, 48_000), np.float32)))
    parts.submit(AudioWindows((48_000,), np.zeros((1, 48_000), np.float32)))
    parts.submit(SpeechPiece(0, 320_000, np.zeros(320_000, np.float32)))
    return parts.gather(window)


def test_rows_are_those_of_the_window_s_frames_and_audio_windows() -> None:
    window = make_window(8, 4, WindowSound((24_000, 48_000), {}, ()))
    found = gathered(said("one two three four"), window)
    tensors = found.tensors
    assert tensors[FEATURES["image"]][:, 0].tolist() == list(range(8, 24))
    assert tensors[FEATURES["face"]][:, 0].tolist() == [8, 9, 16, 19]
    assert tensors[FEATURES["audio"]][:, 0].tolist() == [0, 1]
    assert tensors[EVENTS].tolist() == [1.5] * 4
    # The first block's line stays until frame 11; the second's begins at frame 20.
    assert tensors[SCREEN_TEXTS].tolist() == [b"Line 0", b"Line 1"]
    assert tensors[SPEECH_TEXT].tolist() == [b"one two three four"]
    assert (found.speech, found.absent) == ("one two three four", {})


@pytest.mark.parametrize(
    ("words", "speech", "text", "absent"),
    [
        (said("one two"), "one two", b"one two", {}),
        (said("eins", "it is German"), "eins", b"", {"speech": "it is German"}),
        (said("a b c d e f g h i j"), "a b c d e f g h", b"a b c d e f g h", {}),
        (SpeechEvidence(absent="nobody"), None, b"", {"speech": NO_SPEECH}),
    ],
)
def test_words_are_english_where_they_could_be_translated(
    words: SpeechEvidence, speech: str | None, text: bytes, absent: dict[str, str]
) -> None:
    found = gathered(words, make_window(0, 4, WindowSound((0,), {}, ())))
    assert (found.speech, found.tensors[SPEECH_TEXT].tolist()) == (speech, [text])
    assert found.absent == absent


@pytest.mark.parametrize(
    ("count", "words", "pieces"), [(1, "a b c d e f a b c d e f", 2), (3, "a b c d", 1)]
)
def test_what_is_said_after_the_pictures_counts_for_the_only_window(
    count: int, words: str, pieces: int
) -> None:
    """Frames until 8 s, words from 4.5 s on, and a second piece of sound from 20 s on."""
    segments = (SpeechSegment(4, 12, "a b c d e f", "en"),)
    speech = Speech("a b c d e f", "en", 0.9, segments, None)
    said_after = msgspec.structs.replace(said("a b c d e f"), speech=speech)
    parts = EncodedParts(Server(said_after))
    parts.submit(FrameBlock(0, np.zeros((16, 2, 2, 3), np.uint8)))
    parts.submit(SpeechPiece(0, 320_000, np.zeros(320_000, np.float32)))
    parts.submit(SpeechPiece(320_000, 480_000, np.zeros(160_000, np.float32)))
    found = parts.gather(make_window(0, 0, WindowSound((), {}, ()), count))
    assert found.speech == words
    assert len(found.found.segments) == pieces


def test_what_is_absent_has_no_rows() -> None:
    reasons = {"audio": "it is silent", "speech": "it is silent"}
    window = make_window(0, 0, WindowSound((), reasons, ()))
    window = DecodedWindow(**{**vars(window), "frames": (1,) * 16})
    found = gathered(said("words"), window)
    assert found.absent == {**reasons, "face": NO_FACE}
    assert found.speech is None
    assert found.tensors[FEATURES["image"]][:, 0].tolist() == [1] * 16
    for name in (FEATURES["face"], FEATURES["audio"], EVENTS, SCREEN_TEXTS):
        assert len(found.tensors[name]) == 0


def test_texts_of_frames_that_were_not_read_are_those_before() -> None:
    lines = tuple(TextLine(frame, BOX, str(frame), 0.9) for frame in (0, 0, 5))
    text = ScreenText("", "en", lines, None)
    texts = texts_of_frames(TextEvidence(screen_text=text, frames_read=(0, 5, 10)))
    assert texts == [("0", "0")] * 5 + [("5",)] * 5 + [()] * 6
    assert texts_of_frames(TextEvidence(frames_read=(0,))) == [()] * 16


def test_a_window_brings_what_no_window_before_it_showed_or_said() -> None:
    segments = (SpeechSegment(1.0, 2.0, "one", "en"), SpeechSegment(9.0, 11.0, "two", "en"))
    speech = Speech("one two", "en", 0.9, segments, None)
    parts = EncodedParts(Server(SpeechEvidence(speech=speech)))
    # The picture changes before frame 20.
    bright = np.zeros((16, 8, 8, 3), np.uint8)
    bright[4:] = 255
    parts.submit(FrameBlock(0, np.zeros((16, 8, 8, 3), np.uint8)))
    parts.submit(FrameBlock(1, bright))
    for start in (0, 320_000):
        parts.submit(SpeechPiece(start, start + 320_000, np.zeros(320_000, np.float32)))
    silent = WindowSound((), {}, ())
    first, second = (parts.gather(make_window(i, i / 2, silent)).found for i in (0, 8))
    assert [frame.time_s for frame in first.frames] == [i / 2 for i in range(16)]
    assert [frame.time_s for frame in second.frames] == [i / 2 for i in range(16, 24)]
    frames = [*first.frames, *second.frames]
    assert [i for i, frame in enumerate(frames) if frame.is_cut] == [20]
    with_faces = [block + frame for block in (0, 16) for frame in WITH_FACES]
    assert [i for i, frame in enumerate(frames) if frame.faces] == [i for i in with_faces if i < 24]
    assert [i for i, frame in enumerate(frames) if frame.lines] == [*range(4, 12), *range(20, 24)]
    assert first.segments == segments
    assert second.segments == ()
    third = parts.gather(make_window(16, 16, silent)).found
    assert [segment.start_s for segment in third.segments] == [21, 29]
    assert len(third.frames) == 8


def test_copies_of_the_last_frame_are_not_frames_of_the_clip() -> None:
    window = make_window(0, 0, WindowSound((), {}, ()))
    window = DecodedWindow(**{**vars(window), "frames": (0,) * 8 + (3,) * 8})
    found = gathered(said("words"), window).found
    assert [len(frame.faces) for frame in found.frames] == [1, 1]
