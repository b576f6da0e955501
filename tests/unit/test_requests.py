"""How the ensemble's response becomes a result: where the head looked, and when that was."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient

from tests import schemas
from vemoclap_client.cli.render import render_result
from vemoclap_client.contract import (
    ANALYSIS,
    ANALYSIS_SCHEMA_VERSION,
    ATTENTION,
    CONTRIBUTIONS,
    ENTRY,
    PROBABILITIES,
)
from vemoclap_client.errors import ServerLostError, ServerUnavailableError
from vemoclap_client.media.video import Decoded, DecodedClip
from vemoclap_client.requests import build_request, build_stream_request, parse_result
from vemoclap_client.result import EmotionResult, Moment
from vemoclap_client.sending import send

WEIGHTS = np.stack([np.arange(1, 17), np.arange(16, 0, -1), np.full(16, 8.5)]) / 136
"""Of image, audio and face: rising, falling, even."""

CLIP = DecodedClip(
    frames=np.full((16, 16, 16, 3), 7, np.uint8),
    audio=np.linspace(-1, 1, 9, dtype=np.float32),
    duration_s=8.0,
    frame_times_s=tuple(index / 2 for index in range(16)),
    audio_absent_reason=None,
    width=16,
    height=16,
    warnings=(),
)


@dataclass(frozen=True)
class Response:
    """Outputs by name, as Triton's client has them."""

    outputs: dict[str, NDArray[Any]]

    def as_numpy(self, name: str) -> NDArray[Any] | None:
        return self.outputs.get(name)


def make_analysis(frames_with_faces: tuple[int, ...], windows: int) -> dict[str, Any]:
    """What the server says of a clip with two faces in each of these frames."""
    expressions = dict.fromkeys(
        ("angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised"), 1 / 7
    )
    face = {"box": [0, 0, 1, 1], "confidence": 0.9, "expressions": expressions}
    return {
        "schema_version": ANALYSIS_SCHEMA_VERSION,
        "profile": "paper",
        "head": {"kind": "attention", "trained_on": "clips"},
        "faces": [{"frame": frame, **face} for frame in frames_with_faces for _ in range(2)],
        "speech": None,
        "screen_text": None,
        "audio_events": [],
        "audio_windows_s": [[1.5 * index, 1.5 * index + 3] for index in range(windows)],
        "absent": {},
        "timings_ms": {},
    }


def read(weights: NDArray[Any] | None, analysis: dict[str, Any]) -> EmotionResult:
    """The result for a clip of 8 seconds."""
    schemas.check(analysis, "analysis")
    outputs = {
        PROBABILITIES: np.array([[0.5, 0.1, 0.1, 0.1, 0.1, 0.1]], np.float32),
        CONTRIBUTIONS: np.zeros((1, 5, 6), np.float32),
        ANALYSIS: np.array([[json.dumps(analysis).encode()]], object),
    }
    if weights is not None:
        outputs[ATTENTION] = weights[None].astype(np.float32)
    result = parse_result("clip.mp4", Decoded(CLIP, 1.0), Response(outputs), 1.0)
    schemas.check(result.to_dict(), "result")
    return result


def test_each_real_row_is_a_moment_of_the_clip() -> None:
    attention = read(WEIGHTS, make_analysis((2, 3, 9), windows=4)).attention
    assert attention is not None
    assert list(attention) == ["image", "audio", "face"]
    assert len(attention["image"]) == 16
    assert attention["image"][0] == Moment(0.0, 0.0, 0.007353)
    assert attention["image"][15] == Moment(7.5, 7.5, 0.117647)
    times_s = [(moment.start_s, moment.end_s) for moment in attention["audio"]]
    assert times_s == [(0.0, 3.0), (1.5, 4.5), (3.0, 6.0), (4.5, 7.5)]
    assert [moment.weight for moment in attention["audio"]] == [
        0.117647,
        0.110294,
        0.102941,
        0.095588,
    ]
    assert [moment.start_s for moment in attention["face"]] == [1.0, 1.5, 4.5]
    assert sum(moment.weight for moment in attention["face"]) < 1, "the rest went to padding"


def test_an_absent_modality_is_left_out() -> None:
    attention = read(WEIGHTS, make_analysis((), windows=0)).attention
    assert attention is not None
    assert list(attention) == ["image"]


def test_a_head_that_does_not_attend_looked_nowhere() -> None:
    result = read(np.zeros((3, 16)), make_analysis((1,), windows=2))
    assert result.attention == {}
    assert "does not attend" in render_result(result)


def test_attention_that_was_not_asked_for_is_none_and_not_printed() -> None:
    result = read(None, make_analysis((1,), windows=2))
    assert result.attention is None
    assert "look" not in render_result(result)
    assert "attend" not in render_result(result)


def test_an_emotion_that_hardly_leads_is_printed_not_to_stand_out() -> None:
    result = read(None, make_analysis((1,), windows=2))
    assert "stands out" not in render_result(result)
    shares = {**dict.fromkeys(result.probabilities, 0.14), "joy": 0.3}
    assert "No emotion stands out" in render_result(replace(result, probabilities=shares))


@pytest.mark.parametrize(
    "line",
    [
        "  image     0:07.5 (12%), 0:07.0 (11%), 0:06.5 (10%)",
        "  audio     0:00.0 - 0:03.0 (12%), 0:01.5 - 0:04.5 (11%), 0:03.0 - 0:06.0 (10%)",
        "  face      everywhere alike",
    ],
)
def test_the_strongest_moments_are_printed(line: str) -> None:
    text = render_result(read(WEIGHTS, make_analysis((2, 3, 9), windows=4)))
    assert line in text.splitlines()
    assert "no proof of why" in text


@pytest.mark.parametrize(
    ("languages", "named"),
    [
        (("en", "en"), "(en, positive)"),
        (("en", "it"), "(en and it, translated, positive)"),
        (("it", "it"), "(it, translated, positive)"),
        (("zh", None), "(zh, translated, positive)"),
    ],
)
def test_all_languages_of_speech_are_printed(languages: tuple[str, str | None], named: str) -> None:
    segments = [
        {"start_s": index, "end_s": index + 1, "text": "word", "language": language}
        for index, language in enumerate(languages)
    ]
    speech = {
        "text": "words",
        "language": languages[0],
        "language_probability": 0.9,
        "segments": segments,
        "sentiment": {"negative": 0.1, "neutral": 0.2, "positive": 0.7},
        "heard_until_s": 190.0,
    }
    text = render_result(read(None, {**make_analysis((), windows=0), "speech": speech}))
    assert f"“words” {named}" in text
    assert "the speech after 190 s was not transcribed" in text


def test_both_requests_have_the_same_tensors() -> None:
    request = build_request(CLIP, [ANALYSIS])
    stream_request = build_stream_request(CLIP, caption=True)
    assert request["model_name"] == ENTRY
    assert [output.name() for output in request["outputs"]] == [ANALYSIS]
    contents = stream_request.raw_input_contents
    for ours, raw, content, array in zip(
        request["inputs"], stream_request.inputs, contents, (CLIP.frames, CLIP.audio), strict=True
    ):
        assert (ours.name(), ours.datatype()) == (raw.name, raw.datatype)
        assert ours.shape() == list(raw.shape) == [1, *array.shape]
        assert content == array.tobytes()
    assert stream_request.parameters["caption"].bool_param


@pytest.mark.parametrize(
    ("connected", "expected"), [(True, ServerLostError), (False, ServerUnavailableError)]
)
def test_a_request_that_fails_is_an_error_of_this_package(
    connected: bool, expected: type[Exception]
) -> None:
    with (
        InferenceServerClient("127.0.0.1:1") as client,
        pytest.raises(expected, match=r"127\.0\.0\.1:1.*make serve"),
    ):
        send(client, build_request(CLIP), "127.0.0.1:1", 5.0, connected=connected)
