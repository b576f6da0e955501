"""The whole paper profile, random weights, on the embedded server's processor."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from tests import schemas
from tests.launching import PAPER_RANDOM, SERVER_PYTHON, Launched, launched
from tests.requiring import require
from vemoclap_client import Decoded, EmotionClient, EmotionResult, decode
from vemoclap_client.cli.render import render_result
from vemoclap_client.contract import (
    ANALYSIS,
    ATTENTION,
    AUDIO,
    CONTRIBUTIONS,
    ENTRY,
    FEATURES,
    FRAMES,
    LENGTHS,
    MODALITIES,
    PROBABILITIES,
    SEQUENCES,
)
from vemoclap_client.requests import parse_result

pytestmark = pytest.mark.soak
"""Two minutes, half of them for loading; the parity tests compare each of its networks."""

WIDTHS = {"image": 512, "audio": 768, "face": 768, "speech": 768, "text": 768}
TIMEOUT_S = 240


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    require(SERVER_PYTHON, "setup")
    require(PAPER_RANDOM / "vemoclap" / "config.pbtxt", "paper-random")
    arguments = ["--model-repository", PAPER_RANDOM]
    with launched(tmp_path_factory.mktemp("paper"), arguments) as running:
        yield running


def ask(
    server: Launched, model: str, outputs: list[str], **inputs: NDArray[Any]
) -> triton.InferResult:
    batch = {name: array[None] for name, array in inputs.items()}
    wanted = [triton.InferRequestedOutput(name) for name in outputs]
    return server.infer(model, batch, outputs=wanted, client_timeout=TIMEOUT_S)


@pytest.fixture(scope="module")
def answer(paper: Launched, samples: Path) -> triton.InferResult:
    """Everything that the ensemble answers to a clip with a face, speech and a caption."""
    clip = decode(samples / "portrait.mp4")
    outputs = [PROBABILITIES, CONTRIBUTIONS, ATTENTION, ANALYSIS, LENGTHS, *FEATURES.values()]
    return ask(paper, ENTRY, outputs, **{FRAMES: clip.frames, AUDIO: clip.audio})


def test_the_features_have_the_papers_widths(answer: triton.InferResult) -> None:
    for modality, width in WIDTHS.items():
        features = answer.as_numpy(FEATURES[modality])
        rows = 1 if modality in ("speech", "text") else 16
        assert features.shape == (1, rows, width)
    lengths = answer.as_numpy(LENGTHS)[0]
    assert lengths[0] == 16
    assert 1 <= lengths[1] <= 16
    assert lengths[4] == 1, "the caption is read, whatever the weights"


def test_the_head_answers_from_these_features(answer: triton.InferResult) -> None:
    session = onnxruntime.InferenceSession(PAPER_RANDOM / "fusion" / "1" / "model.onnx")
    inputs = {name: answer.as_numpy(name) for name in (*FEATURES.values(), LENGTHS)}
    probabilities, contributions, attention = session.run(
        [PROBABILITIES, CONTRIBUTIONS, ATTENTION], inputs
    )
    np.testing.assert_allclose(answer.as_numpy(PROBABILITIES), probabilities, atol=1e-5)
    np.testing.assert_allclose(answer.as_numpy(CONTRIBUTIONS), contributions, atol=1e-5)
    np.testing.assert_allclose(answer.as_numpy(ATTENTION), attention, atol=1e-5)
    assert np.ptp(probabilities) > 0.01


def test_the_attention_is_told_by_moments_of_the_clip(
    answer: triton.InferResult, samples: Path
) -> None:
    clip = decode(samples / "portrait.mp4")
    result = parse_result("portrait.mp4", Decoded(clip, 0.0), answer, 0.0)
    schemas.check(result.to_dict(), "result")
    lengths = dict(zip(MODALITIES, answer.as_numpy(LENGTHS)[0].tolist(), strict=True))
    present = {name: lengths[name] for name in SEQUENCES if lengths[name]}
    assert result.attention is not None
    assert {name: len(moments) for name, moments in result.attention.items()} == present
    starts = [(moment.start_s, moment.end_s) for moment in result.attention["audio"]]
    assert starts[:2] == [(0.0, 3.0), (1.5, 4.5)]
    assert all(end <= clip.duration_s + 0.1 for _, end in starts)


def test_random_weights_never_pass_for_a_result(answer: triton.InferResult, samples: Path) -> None:
    video = samples / "portrait.mp4"
    result = parse_result(str(video), Decoded(decode(video), 0.0), answer, 0.0)
    assert (result.profile, result.head.kind, result.head.trained_on) == ("paper", "random", None)
    assert "random weights: these numbers mean nothing" in render_result(result)
    assert len(result.audio_events) == 5
    assert all(event.name.startswith("event ") for event in result.audio_events)


def test_a_caption_is_written_on_demand_from_the_features(
    paper: Launched, answer: triton.InferResult
) -> None:
    feature = answer.as_numpy(FEATURES["image"])[0, 0]
    caption = ask(paper, "captioner", ["CAPTION"], IMAGE_FEATURE=feature).as_numpy("CAPTION")
    assert caption.shape == (1, 1)
    assert caption[0, 0].decode().strip()


def test_a_stream_captions_the_frame_with_most_to_see(paper: Launched, samples: Path) -> None:
    with EmotionClient(paper.url) as client:
        *_, result = client.stream(samples / "portrait.mp4", caption=True)
    assert isinstance(result, EmotionResult)
    assert result.screen_text is not None
    seen = Counter(found.frame for found in (*result.faces, *result.screen_text.lines))
    assert result.caption is not None
    assert result.caption.frame == min(seen, key=lambda frame: (-seen[frame], frame))
    assert result.caption.time_s == result.frame_times_s[result.caption.frame]
    assert result.caption.text.strip()
    schemas.check(result.to_dict(), "result")


@pytest.mark.parametrize("slot", ["language_identifier", "translator"])
def test_the_slots_for_other_languages_are_there(paper: Launched, slot: str) -> None:
    with triton.InferenceServerClient(paper.url) as connection:
        assert connection.is_model_ready(slot)


def test_an_error_that_quotes_much_still_arrives(paper: Launched) -> None:
    text, language = np.array([b"x"], object), np.array([b"x" * 100_000], object)
    with pytest.raises(InferenceServerException, match="not trained with language"):
        ask(paper, "translator", ["TRANSLATION"], TEXT=text, LANGUAGE=language)
