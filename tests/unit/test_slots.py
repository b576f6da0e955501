"""What the Python slots compute, without Triton."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from export.slots.paper import face_expression as paper_face_expression
from server.slots import analysis, audio, face, frames, language, repeats, screen, screen_text
from server.slots.detector import DetectorInput
from server.slots.expression import CropRule
from server.slots.slot import Tensors, analyzer_outputs, json_tensor
from vemoclap_client import audio_windows
from vemoclap_client.analysis import Analysis, Face, Head, StepEvidence
from vemoclap_client.documents import parse_json
from vemoclap_client.errors import DocumentError

RATE = 16_000
HAPPY = np.eye(7, dtype=np.float32)[3]
DETECTOR = DetectorInput(longer_side_px=416, multiple_px=32, confidence=0.45)


class Slots:
    """Answers for other slots, and remembers what they were asked."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Tensors]] = []

    async def __call__(
        self, slot: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> Tensors:
        self.asked.append((slot, dict(inputs)))
        answer = self.answers[slot](inputs)
        return {name: answer[name] for name in outputs}


def evidence(outputs: Tensors) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(outputs["EVIDENCE"][0])
    return document


# --- frames ---


@pytest.mark.parametrize("size", [(360, 640), (640, 360), (360, 360), (224, 1280), (30, 1280)])
def test_preprocessing_is_resize_then_crop(size: tuple[int, int]) -> None:
    """What lies outside the crop is never computed, and does not change what lies inside."""
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    scale = 224 / min(size)
    whole = tuple(max(224, int(side * scale)) for side in size)
    top, left = (round((side - 224) / 2) for side in whole)
    for channel in range(3):
        image = Image.fromarray(noise[..., channel].astype(np.float32))
        resized = np.asarray(image.resize(whole[::-1], Image.Resampling.BICUBIC)) / 255
        expected = resized[top : top + 224, left : left + 224]
        np.testing.assert_allclose(frames.preprocess(noise)[channel], expected, atol=1e-4)


@pytest.mark.parametrize("size", [(0, 160), (0, 0), (1, 3000), (5000, 10)])
def test_frames_that_cannot_be_looked_at_are_an_answer(
    size: tuple[int, int], tmp_path: Path
) -> None:
    clip = {"FRAMES": np.zeros((16, *size, 3), np.uint8)}
    pixels = asyncio.run(frames.FramePreprocessor(Path()).run(clip, Slots({})))["PIXELS"]
    assert pixels.shape == (16, 3, 224, 224)
    assert not pixels.any()
    slots = face_slots(score=0.9)
    outputs = asyncio.run(face_analyzer(tmp_path).run(clip, slots))
    assert outputs["LENGTH"] == [0]
    assert f"{size[1]} x {size[0]}" in evidence(outputs)["absent"]


# --- sound ---


@pytest.mark.parametrize(
    ("samples", "count"),
    [(48_001, 1), (72_000, 1), (72_001, 2), (8 * RATE, 4), (60 * RATE, 16)],
)
def test_windows_start_every_second_and_a_half(samples: int, count: int) -> None:
    starts = audio_windows.window_starts(samples)
    assert audio_windows.cut(np.zeros(samples, np.float32), starts).shape == (count, 48_000)


def test_many_windows_are_thinned_evenly_from_the_first_to_the_last() -> None:
    sound = np.arange(100 * RATE, dtype=np.float32)
    starts = audio_windows.cut(sound, audio_windows.window_starts(sound.size))[:, 0]
    every = np.arange(0, 100 * RATE - 48_000, 24_000)
    assert starts[0] == every[0]
    assert starts[-1] == every[-1]
    assert set(np.diff(starts)) <= {4 * 24_000, 5 * 24_000}


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (np.zeros(0, np.float32), "no sound"),
        (np.ones(48_000, np.float32), "not longer than 3 s"),
        (np.zeros(60_000, np.float32), "silent"),
    ],
)
def test_absent_sound_asks_for_no_window(
    sound: NDArray[np.float32], reason: str, tmp_path: Path
) -> None:
    analyzer, slots = audio_analyzer(tmp_path)
    outputs = asyncio.run(analyzer.run({"AUDIO": sound}, slots))
    assert outputs["LENGTH"] == [0]
    assert outputs["FEATURES"].shape == (16, 4)
    assert not outputs["FEATURES"].any()
    assert reason in evidence(outputs)["absent"]
    assert evidence(outputs)["windows_s"] == []
    # The one question is how wide features are.
    assert [len(inputs["WINDOW"]) for _, inputs in slots.asked] == [1]


def test_sound_becomes_features_and_the_events_above_the_threshold(tmp_path: Path) -> None:
    analyzer, slots = audio_analyzer(tmp_path)
    outputs = asyncio.run(analyzer.run({"AUDIO": np.ones(8 * RATE, np.float32)}, slots))
    assert outputs["LENGTH"] == [4]
    assert outputs["FEATURES"][:4].all()
    assert not outputs["FEATURES"][4:].any()
    assert evidence(outputs)["events"] == [
        {"name": "Speech", "probability": 0.75},
        {"name": "Music", "probability": 0.5},
    ]
    assert evidence(outputs)["windows_s"] == [[0, 3], [1.5, 4.5], [3, 6], [4.5, 7.5]]


def audio_analyzer(folder: Path) -> tuple[audio.AudioAnalyzer, Slots]:
    (folder / "audio_encoder").mkdir()
    (folder / "audio_encoder" / "labels.txt").write_text("Music\nSpeech\nBark\n")
    slots = Slots(
        {
            "audio_encoder": lambda inputs: {
                "FEATURES": np.ones((len(inputs["WINDOW"]), 4), np.float32),
                "EVENTS": np.tile(np.float32([0.5, 0.75, 0.05]), (len(inputs["WINDOW"]), 1)),
            }
        }
    )
    return audio.AudioAnalyzer(folder / "audio_analyzer" / "1"), slots


# --- faces ---


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((360, 640), (256, 416)),
        ((640, 360), (416, 256)),
        ((360, 480), (320, 416)),
        ((4096, 8), (416, 32)),
        ((96, 100), (96, 128)),
        ((8, 8), (32, 32)),
    ],
)
def test_frames_shrink_to_multiples_of_32(size: tuple[int, int], expected: tuple[int, int]) -> None:
    images = face.resize(np.full((2, *size, 3), 9, np.uint8), DETECTOR)
    assert images.shape == (2, *expected, 3)
    assert (images == 9).all()


def test_a_detector_of_one_size_pads_for_itself_and_gets_frames_undistorted() -> None:
    detector = DetectorInput(longer_side_px=640, multiple_px=1, confidence=0.5)
    assert detector.image_size(360, 480) == (360, 480)
    assert detector.image_size(1080, 1920) == (360, 640)
    assert detector.image_size(8, 4096) == (1, 640)


def test_of_overlapping_boxes_the_most_certain_stays_and_the_largest_comes_first() -> None:
    boxes = np.float32([[0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 90, 90]])
    faces = face.select_faces(3, boxes, np.float32([0.7, 0.9, 0.8]), (100, 100))
    assert [found.box for found in faces] == [(50, 50, 90, 90), (1, 1, 11, 11)]
    assert [found.frame for found in faces] == [3, 3]


def test_boxes_are_cut_at_the_frames_edge_and_those_outside_are_dropped() -> None:
    boxes = np.float32([[-20, -5, 30, 40], [200, 200, 220, 220]])
    faces = face.select_faces(0, boxes, np.float32([0.9, 0.9]), (100, 100))
    assert [found.box for found in faces] == [(0, 0, 30, 40)]


def test_a_crowd_is_cut_to_the_largest_faces() -> None:
    boxes = np.float32([[30 * i, 0, 30 * i + 10 + i, 20] for i in range(12)])
    faces = face.select_faces(0, boxes, np.full(12, 0.9, np.float32), (100, 400))
    assert len(faces) == face.FACES_PER_FRAME
    assert faces[0].box == (330, 0, 351, 20)


def test_a_crop_is_squared_with_black() -> None:
    frame = np.full((100, 100, 3), 200, np.uint8)
    cropped = face.crop(frame, face.DetectedFace(0, (10, 10, 40, 90), 0.9), CropRule())
    assert cropped.shape == (224, 224, 3)
    assert (cropped[:, 112] == 200).all()
    assert not cropped[:, :60].any()


@pytest.mark.parametrize("is_stretched", [True, False])
def test_a_network_that_was_trained_on_stretched_faces_gets_them(
    is_stretched: bool, tmp_path: Path
) -> None:
    if is_stretched:
        (tmp_path / "face_expression" / "1").mkdir(parents=True)
        paper_face_expression.CROP_RULE.write(tmp_path / "face_expression")
    slots = face_slots(score=0.9)
    clip = np.full((16, 208, 416, 3), 200, np.uint8)
    # The detector's box is as high as it is wide, and cut at the frame's edge.
    slots.answers["face_detector"] = lambda inputs: {
        "BOXES": np.float32([[[-20.8, 20.8, 20.8, 62.4]]]),
        "SCORES": np.float32([[0.9]]),
    }
    asyncio.run(face_analyzer(tmp_path).run({"FRAMES": clip}, slots))
    crop = slots.asked[-1][1]["CROP"]
    assert crop.shape == (1, 224, 224, 3)
    assert (crop == 200).all() == is_stretched


def test_a_frames_feature_is_the_mean_of_its_two_largest_faces() -> None:
    faces = [
        face.DetectedFace(2, (0, 0, 30, 30), 0.9),
        face.DetectedFace(2, (0, 0, 20, 20), 0.9),
        face.DetectedFace(2, (0, 0, 10, 10), 0.9),
        face.DetectedFace(7, (0, 0, 10, 10), 0.9),
    ]
    rows = face.frame_features(faces, np.float32([[1], [3], [100], [7]]))
    np.testing.assert_array_equal(rows, [[2], [7]])


def test_faces_are_found_in_every_frame_with_one_call_each(tmp_path: Path) -> None:
    slots = face_slots(score=0.9)
    outputs = asyncio.run(face_analyzer(tmp_path).run({"FRAMES": moving_clip()}, slots))
    assert outputs["LENGTH"] == [16]
    found = evidence(outputs)["faces"]
    assert [item["frame"] for item in found] == list(range(16))
    # 208 x 416 is scaled to 224 x 416, where the box is 41.6, 20.8, 83.2, 62.4; cut to pixels.
    assert found[0]["box"] == pytest.approx([0.1, 0.093, 0.2, 0.279], abs=0.006)
    assert found[0]["expressions"]["happy"] == 1
    real = [slot for slot, inputs in slots.asked if len(next(iter(inputs.values()))) == 16]
    assert real == ["face_detector", "face_expression"]


def test_equal_frames_in_a_row_are_looked_at_once_and_all_have_the_faces(tmp_path: Path) -> None:
    slots = face_slots(score=0.9)
    clip = moving_clip()
    clip[3:12] = clip[3]
    # Coded video is never exactly still.
    clip[4:12] += np.random.default_rng(0).integers(0, 3, clip[4:12].shape, np.uint8)
    outputs = asyncio.run(face_analyzer(tmp_path).run({"FRAMES": clip}, slots))
    asked = {slot: len(next(iter(inputs.values()))) for slot, inputs in slots.asked}
    assert asked == {"face_detector": 8, "face_expression": 8}
    assert outputs["LENGTH"] == [16]
    assert [item["frame"] for item in evidence(outputs)["faces"]] == list(range(16))
    # The features are those of the frame that was looked at: 0, 1, 2, 3, 3, ..., 3, 12, ...
    np.testing.assert_array_equal(outputs["FEATURES"][:, 0], [0, 1, 2, *[3] * 9, 4, 5, 6, 7])


def test_a_score_counts_from_the_detectors_own_confidence_on(tmp_path: Path) -> None:
    for score, count in ((0.44, 0), (0.46, 16)):
        slots = face_slots(score)
        outputs = asyncio.run(face_analyzer(tmp_path).run({"FRAMES": moving_clip()}, slots))
        assert outputs["LENGTH"] == [count]
    assert "absent" in evidence(outputs)


def test_without_a_face_no_crop_is_read(tmp_path: Path) -> None:
    slots = face_slots(score=0.2)
    outputs = asyncio.run(face_analyzer(tmp_path).run({"FRAMES": moving_clip()}, slots))
    assert outputs["LENGTH"] == [0]
    assert evidence(outputs)["absent"] == "no face was found"


def moving_clip() -> NDArray[np.uint8]:
    """16 frames of 208 x 416, each twelve levels lighter than the one before."""
    levels = np.arange(16, dtype=np.uint8) * 12
    return np.tile(levels[:, None, None, None], (1, 208, 416, 3))


def face_analyzer(folder: Path) -> face.FaceAnalyzer:
    (folder / "face_detector" / "1").mkdir(parents=True, exist_ok=True)
    DETECTOR.write(folder / "face_detector")
    return face.FaceAnalyzer(folder / "face_analyzer" / "1")


def face_slots(score: float) -> Slots:
    def detect(inputs: Mapping[str, NDArray[Any]]) -> Tensors:
        count = len(inputs["IMAGE"])
        box = np.tile(np.float32([41.6, 20.8, 83.2, 62.4]), (count, 1, 1))
        return {"BOXES": box, "SCORES": np.full((count, 1), score, np.float32)}

    def read(inputs: Mapping[str, NDArray[Any]]) -> Tensors:
        count = len(inputs["CROP"])
        return {
            "FEATURES": np.repeat(np.arange(count, dtype=np.float32)[:, None], 4, axis=1),
            "PROBABILITIES": np.tile(HAPPY, (count, 1)),
        }

    return Slots({"face_detector": detect, "face_expression": read})


# --- on-screen text ---


def test_texts_are_lower_cased_unique_and_in_order() -> None:
    texts = ["Hello World", "HELLO WORLD", "The second line is here"]
    assert screen_text.unique_texts(texts) == ["hello world", "the second line is here"]


def test_lines_of_text_become_evidence() -> None:
    lines = [
        screen.DetectedLine(0, (0, 0, 20, 10), "Hello World", 0.9),
        screen.DetectedLine(1, (10, 50, 110, 60), "The second line is here", 0.9),
    ]
    rows = np.zeros((0, 4), np.float32)
    encoded = screen_text.EncodedTexts(rows, "no English", "hallo", "de", None)
    found = screen.model_screen_text(lines, (100, 100), encoded)
    assert (found.text, found.language, found.sentiment) == ("hallo", "de", None)
    assert [line.frame for line in found.lines] == [0, 1]
    assert found.lines[1].box == (0.1, 0.5, 1.0, 0.6)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("this is certainly an english sentence about the weather", "en"),
        ("das ist ganz bestimmt ein deutscher satz über das wetter", "de"),
        ("это предложение на русском языке о погоде", "ru"),
        ("xq", "unknown"),
    ],
)
def test_language_is_named_only_where_it_is_certain(text: str, code: str) -> None:
    assert language.language_of(text) == code


# --- the analysis ---


def test_lengths_are_collected_in_the_contracts_order() -> None:
    given = {"AUDIO_LENGTH": 2, "FACE_LENGTH": 3, "SPEECH_LENGTH": 1, "TEXT_LENGTH": 0}
    inputs = {name: np.array([value], np.int32) for name, value in given.items()}
    outputs = asyncio.run(analysis.LengthCollector(Path()).run(inputs, Slots({})))
    np.testing.assert_array_equal(outputs["LENGTHS"], [16, 2, 3, 1, 0])


def test_features_are_padded_with_zeros() -> None:
    outputs = analyzer_outputs(np.ones((3, 5), np.float32), 16, StepEvidence())
    assert outputs["LENGTH"] == [3]
    assert outputs["FEATURES"].shape == (16, 5)
    assert outputs["FEATURES"].sum() == 15


HEAD = {"profile": "paper", "kind": "attention", "trained_on": "clips"}
FACE = {
    "frame": 3,
    "box": [0.1, 0.1, 0.2, 0.3],
    "confidence": 0.9,
    "expressions": {"happy": 1.0},
}
EVIDENCE: dict[str, dict[str, Any]] = {
    "audio": {"absent": "the clip has no sound", "events": [], "windows_s": []},
    "face": {"absent": None, "faces": [FACE]},
    "speech": {"absent": "no speech was recognised", "speech": None},
    "text": {"absent": None, "screen_text": None},
}


def written_analysis(evidence: Mapping[str, Mapping[str, Any]]) -> NDArray[Any]:
    """ANALYSIS from these documents; each step took one millisecond more than the one before."""
    inputs = {"HEAD": json_tensor(HEAD)}
    for duration_ms, (modality, document) in enumerate(evidence.items()):
        timed = {**document, "duration_ms": duration_ms}
        inputs[f"{modality.upper()}_EVIDENCE"] = json_tensor(timed)
    for name in ("IMAGE", "AUDIO", "FACE", "SPEECH", "TEXT"):
        inputs[f"{name}_FEATURES"] = np.zeros((1, 4), np.float32)
    inputs["LENGTHS"] = np.zeros(5, np.int32)
    outputs = asyncio.run(analysis.AnswerWriter(Path()).run(inputs, Slots({})))
    assert {name for name in outputs if name.endswith("_COPY")} == {
        f"{name}_COPY" for name in inputs if name.endswith(("_FEATURES", "LENGTHS"))
    }
    return outputs["ANALYSIS"]


def test_the_analysis_joins_the_evidence_of_all_steps() -> None:
    document = parse_json(written_analysis(EVIDENCE)[0], Analysis, "ANALYSIS")
    assert document == Analysis(
        profile="paper",
        head=Head("attention", "clips"),
        faces=(Face(3, (0.1, 0.1, 0.2, 0.3), 0.9, {"happy": 1.0}),),
        speech=None,
        screen_text=None,
        audio_events=(),
        audio_windows_s=(),
        absent={"audio": "the clip has no sound", "speech": "no speech was recognised"},
        timings_ms={
            "audio_analyzer": 0,
            "face_analyzer": 1,
            "speech_recognizer": 2,
            "screen_reader": 3,
        },
    )
    fields = json.loads(written_analysis(EVIDENCE)[0])
    assert "speech" in fields and fields["speech"] is None


def test_wrong_evidence_is_an_error_that_names_the_slot_and_the_field() -> None:
    wrong = {**EVIDENCE, "face": {"faces": [{**FACE, "box": [0.1, 0.1, 0.2, 7]}]}}
    with pytest.raises(DocumentError, match=r"slot face_analyzer: .*faces\[0\]\.box\[3\]"):
        written_analysis(wrong)


def test_a_caption_that_changes_on_a_still_picture_is_read_anew() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (360, 480, 3), np.uint8)
    picture = cv2.GaussianBlur(picture, (0, 0), 8)
    captions = []
    for text in ("my mother died today", "what a lovely day"):
        captions.append(picture.copy())
        cv2.putText(captions[-1], text, (90, 330), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255,) * 3, 2)
    coded = cv2.imdecode(cv2.imencode(".jpg", captions[0])[1], cv2.IMREAD_COLOR)
    frames = [repeats.reduce(frame) for frame in (*captions, np.asarray(coded, np.uint8))]
    assert repeats.differs(frames[0], frames[1])
    assert not repeats.differs(frames[0], frames[2])
