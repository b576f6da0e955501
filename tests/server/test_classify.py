"""Real clips through the real server: what comes out is what is in them."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton

from tests import schemas
from tests.clips import Tone, write_clip
from tests.launching import Launched
from tests.screen_panel import DIRECTIONS, Clip, Line, plain, write
from vemoclap_client import AsyncEmotionClient, EmotionClient, EmotionResult, contract, decode
from vemoclap_client.cli.render import render_result
from vemoclap_client.requests import RESULT_OUTPUTS, build_request
from vemoclap_client.sending import send


@pytest.fixture(scope="module")
def portrait(client: EmotionClient, samples: Path) -> EmotionResult:
    """A smiling face, English speech and a caption."""
    return client.classify(samples / "portrait.mp4")


def test_the_portrait_smiles_in_every_frame(portrait: EmotionResult) -> None:
    assert {face.frame for face in portrait.faces} == set(range(16))
    assert all(face.expression == "happy" for face in portrait.faces)
    x0, y0, x1, y1 = portrait.faces[0].box
    assert 0 < x0 < x1 < 1
    assert 0 < y0 < y1 < 1


def test_captions_that_change_are_read_in_all_four_directions(
    client: EmotionClient, tmp_path: Path
) -> None:
    def lines(number: int) -> list[Line]:
        part = number // 4
        return [Line(DIRECTIONS[part], 0.07, (0.5, 0.5), degrees=90 * part)]

    result = client.classify(write(tmp_path / "turned.mp4", Clip(plain("#305070"), lines)))
    assert result.screen_text is not None
    read = {line.text.replace(" ", "").lower() for line in result.screen_text.lines}
    assert read == {text.replace(" ", "").lower() for text in DIRECTIONS}


def test_its_speech_is_transcribed_with_times(portrait: EmotionResult) -> None:
    assert portrait.speech is not None
    assert portrait.speech.language == "en"
    assert "best of times" in portrait.speech.text.lower()
    ends = [segment.end_s for segment in portrait.speech.segments]
    assert ends == sorted(ends)
    assert 0 < ends[-1] <= portrait.duration_s + 1


def test_its_caption_is_read_with_boxes(portrait: EmotionResult) -> None:
    assert portrait.screen_text is not None
    assert portrait.screen_text.language == "en"
    assert len(portrait.screen_text.lines) >= 1
    assert portrait.screen_text.lines[0].confidence >= 0.8


def test_probabilities_and_contributions_fit_together(portrait: EmotionResult) -> None:
    assert tuple(portrait.probabilities) == contract.EMOTIONS
    assert sum(portrait.probabilities.values()) == pytest.approx(1, abs=1e-4)
    assert tuple(portrait.contributions) == contract.MODALITIES
    for row in portrait.contributions.values():
        assert sum(row.values()) == pytest.approx(0, abs=1e-4)
    # A smile speaks for joy; frames and sound have no weight in the zero-shot head.
    assert portrait.contributions["face"]["joy"] > 0.1
    assert not any(portrait.contributions["image"].values())
    assert not any(portrait.contributions["audio"].values())


def test_the_answer_names_profile_and_head(portrait: EmotionResult) -> None:
    assert portrait.profile == "embedded"
    assert (portrait.head.kind, portrait.head.trained_on) == ("zero-shot", None)
    assert "not trained" in str(portrait.head)


def test_the_result_is_what_its_published_schema_says(portrait: EmotionResult) -> None:
    schemas.check(portrait.to_dict(), "result")


def test_where_the_head_looked_is_told_on_request(
    server: Launched, client: EmotionClient, portrait: EmotionResult, samples: Path
) -> None:
    async def classify() -> EmotionResult:
        async with AsyncEmotionClient(server.url) as one:
            return await one.classify(samples / "title_card.mp4", attention=True)

    asked = client.classify(samples / "title_card.mp4", attention=True)
    assert portrait.attention is None, "nobody asked"
    # The zero-shot head does not attend.
    assert asked.attention == asyncio.run(classify()).attention == {}
    schemas.check(asked.to_dict(), "result")


def test_a_sad_title_card_is_sad_and_everything_else_is_absent(
    client: EmotionClient, samples: Path
) -> None:
    result = client.classify(samples / "title_card.mp4")
    assert result.emotion == "sadness"
    assert set(result.absent) == {"audio", "face", "speech"}
    assert result.contributions["text"]["sadness"] > 0.1
    assert result.warnings == ()
    schemas.check(result.to_dict(), "result")


def test_a_clip_that_shows_and_says_nothing_is_even_and_says_so(
    client: EmotionClient, tmp_path: Path
) -> None:
    result = client.classify(write_clip(tmp_path / "blocks.mp4", seconds=5, sound=Tone(seconds=5)))
    assert set(result.absent) == {"face", "speech", "text"}
    assert max(result.probabilities.values()) == pytest.approx(1 / 6, abs=1e-3)
    assert result.emotion is None
    assert "Nothing was found" in render_result(result)


def test_the_same_clip_gets_the_same_answer_alone_and_among_others(
    server: Launched, client: EmotionClient, samples: Path
) -> None:
    clips = [samples / "portrait.mp4", samples / "title_card.mp4"] * 3

    async def classify_all() -> list[EmotionResult]:
        async with AsyncEmotionClient(server.url) as many:
            return list(await asyncio.gather(*map(many.classify, clips)))

    alone = {clip: client.classify(clip) for clip in set(clips)}
    for clip, result in zip(clips, asyncio.run(classify_all()), strict=True):
        # Batches change the order of additions, hence the last digits.
        assert result.probabilities == pytest.approx(alone[clip].probabilities, abs=1e-4)
        assert result.speech == alone[clip].speech
        assert len(result.faces) == len(alone[clip].faces)
    # No clip's speech waited for another's: Triton never gave the slot two requests at once.
    with triton.InferenceServerClient(server.url) as connection:
        model = connection.get_inference_statistics("speech_recognizer").model_stats[0]
    assert {batch.batch_size for batch in model.batch_stats} == {1}


@pytest.fixture(scope="module")
def answer(server: Launched, samples: Path) -> triton.InferResult:
    """The ensemble's response with features, as training asks for it."""
    outputs = (*RESULT_OUTPUTS, *contract.FEATURES.values(), contract.LENGTHS)
    request = build_request(decode(samples / "portrait.mp4"), outputs)
    with triton.InferenceServerClient(server.url) as connection:
        return send(connection, request, server.url, timeout_s=600)


def test_the_five_features_come_padded_with_their_lengths(answer: triton.InferResult) -> None:
    lengths = answer.as_numpy(contract.LENGTHS)[0]
    assert lengths[0] == 16
    assert (lengths > 0).all()
    for modality, length in zip(contract.MODALITIES, lengths, strict=True):
        rows = answer.as_numpy(contract.FEATURES[modality])[0]
        assert len(rows) == (1 if modality in ("speech", "text") else 16)
        assert rows[:length].any(axis=1).all(), modality
        assert not rows[length:].any(), modality


def test_the_analysis_is_what_its_published_schema_says(answer: triton.InferResult) -> None:
    schemas.check(json.loads(answer.as_numpy(contract.ANALYSIS)[0, 0]), "analysis")


def test_the_label_file_names_the_emotions(server: Launched, answer: triton.InferResult) -> None:
    best = contract.EMOTIONS[int(np.argmax(answer.as_numpy(contract.PROBABILITIES)[0]))]
    output = triton.InferRequestedOutput(contract.PROBABILITIES, class_count=1)
    names = (*contract.FEATURES.values(), contract.LENGTHS)
    features = {name: answer.as_numpy(name) for name in names}
    top = server.infer("fusion", features, outputs=[output]).as_numpy(output.name())
    assert top[0, 0].decode().split(":")[-1] == best


def test_speech_of_all_clips_of_one_request_is_transcribed(
    server: Launched, samples: Path, portrait: EmotionResult
) -> None:
    clip = decode(samples / "portrait.mp4")
    frames = np.zeros((8, *clip.frames.shape[:1], 32, 32, 3), np.uint8)
    audio = np.stack([clip.audio] * len(frames))
    arrays = {contract.FRAMES: frames, contract.AUDIO: audio}
    found = server.infer("vemoclap", arrays, client_timeout=120)
    assert portrait.speech is not None
    for document in found.as_numpy(contract.ANALYSIS).ravel():
        assert json.loads(document)["speech"]["text"] == portrait.speech.text
