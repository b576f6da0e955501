"""EmotionClient.stream against a real server."""

import asyncio
import threading
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from tests.launching import Launched, wait_until
from vemoclap_client import (
    AsyncEmotionClient,
    Decoded,
    DecodedClip,
    EmotionClient,
    EmotionResult,
    Evidence,
    contract,
)
from vemoclap_client.errors import InferenceError, NotAVideoError, RequestTimeoutError
from vemoclap_client.stream import Event


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Generator[None]:
    before = set(threading.enumerate())
    yield
    wait_until(lambda: set(threading.enumerate()) <= before, timeout_s=5)


def evidence_of(result: EmotionResult) -> dict[str, Evidence]:
    """What should have been told before a result."""
    told: dict[str, dict[str, Any]] = {
        "image": {},
        "audio": {"audio_events": result.audio_events},
        "face": {"faces": result.faces},
        "speech": {"speech": result.speech},
        "text": {"screen_text": result.screen_text},
    }
    return {
        modality: Evidence(modality, absent=result.absent.get(modality), **fields)
        for modality, fields in told.items()
    }


def untimed(result: EmotionResult) -> EmotionResult:
    return replace(result, timings_ms={})


def findings(result: EmotionResult) -> EmotionResult:
    """The result without the head's numbers, in which there is noise."""
    even = dict.fromkeys(contract.EMOTIONS, 0.0)
    return replace(untimed(result), probabilities=even, contributions={}, attention=None)


def blank(height: int = 64, frames: int = contract.FRAME_COUNT) -> DecodedClip:
    """A clip that takes the server little time."""
    return DecodedClip(
        frames=np.zeros((frames, height, 64, 3), np.uint8),
        frame_times_s=tuple(map(float, range(frames))),
        audio=np.zeros(0, np.float32),
        audio_absent_reason="the file has no sound",
        duration_s=16.0,
        width=64,
        height=height,
        warnings=(),
    )


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> Callable[[DecodedClip], None]:
    """Has every video decode to this clip, as no real decoder would."""
    return lambda clip: monkeypatch.setattr(
        "vemoclap_client.media.decoder.decode", lambda video, audio_track, cancel: clip
    )


def executions(server: Launched, model: str) -> int:
    """How many requests the model has answered."""
    return int(server.statistics(model)["inference_count"])


def test_evidence_comes_as_it_is_found_and_then_what_classify_answers(
    client: EmotionClient, samples: Path
) -> None:
    first, *found, result = client.stream(samples / "portrait.mp4")
    assert isinstance(first, Decoded)
    assert isinstance(result, EmotionResult)
    assert first.clip.frame_times_s == pytest.approx(result.frame_times_s, abs=1e-3)
    assert result.timings_ms["decode"] == first.decode_ms
    assert {event.modality: event for event in found} == evidence_of(result)  # type: ignore[union-attr]
    assert len(found) == len(contract.MODALITIES)
    assert result.faces and result.speech and result.screen_text
    assert result.caption is None
    classified = client.classify(samples / "portrait.mp4", attention=True)
    assert result.probabilities == pytest.approx(classified.probabilities, abs=1e-4)
    assert findings(result) == findings(classified)


def test_streams_side_by_side_each_get_their_own_clips_answer(
    client: EmotionClient, samples: Path
) -> None:
    videos = [samples / name for name in ("bunny.mp4", "title_card.mp4", "bunny.mp4")]

    def last(video: Path) -> Event:
        return list(client.stream(video, caption=True))[-1]

    with ThreadPoolExecutor(len(videos)) as pool:
        results = list(pool.map(last, videos))
    for video, result in zip(videos, results, strict=True):
        assert isinstance(result, EmotionResult)
        classified = client.classify(video)
        assert result.video == classified.video
        assert result.screen_text == classified.screen_text
        assert result.probabilities == pytest.approx(classified.probabilities, abs=1e-4)
        assert result.caption is None, "this profile has no captioner"
    assert results[0] != results[1]


def test_a_set_flag_cancels_at_once_and_no_further_step_is_started(
    server: Launched, client: EmotionClient, samples: Path
) -> None:
    cancel = threading.Event()
    judged = executions(server, "fusion")
    events = client.stream(samples / "portrait.mp4", cancel=cancel)
    assert isinstance(next(events), Decoded)
    assert isinstance(next(events), Evidence)
    cancel.set()
    with pytest.raises(CancelledError):
        list(events)
    assert executions(server, "fusion") == judged, "it did not wait for the result"
    # It waits in line behind the analyzers that were at work already: had the stream gone on, its
    # head would have been asked before this one.
    assert client.classify(samples / "title_card.mp4").screen_text is not None
    wait_until(lambda: executions(server, "fusion") > judged)
    assert executions(server, "fusion") == judged + 1


def test_closing_cancels_too(server: Launched, client: EmotionClient, samples: Path) -> None:
    judged = executions(server, "fusion")
    with closing(client.stream(samples / "portrait.mp4")) as events:
        assert isinstance(next(events), Decoded)
        assert isinstance(next(events), Evidence)
    assert executions(server, "fusion") == judged, "it did not wait for the result"


def test_a_stream_that_is_never_read_asks_nothing(client: EmotionClient, samples: Path) -> None:
    client.stream(samples / "portrait.mp4").close()


def test_frames_of_the_wrong_shape_are_refused_and_harm_nobody(
    client: EmotionClient, samples: Path, decodes: Callable[[DecodedClip], None]
) -> None:
    decodes(blank(frames=15))
    events = client.stream(samples / "bunny.mp4")
    assert isinstance(next(events), Decoded)
    with pytest.raises(InferenceError, match="unexpected shape for input 'FRAMES'"):
        next(events)
    decodes(blank())
    assert isinstance(list(client.stream(samples / "bunny.mp4"))[-1], EmotionResult)


def test_frames_of_no_use_are_absent_in_a_stream_too(
    client: EmotionClient, samples: Path, decodes: Callable[[DecodedClip], None]
) -> None:
    decodes(blank(height=0))
    *_, result = client.stream(samples / "bunny.mp4")
    assert isinstance(result, EmotionResult)
    assert set(result.absent) == {"audio", "face", "speech", "text"}
    assert result.absent["audio"] == "the file has no sound"


def test_more_streams_than_run_at_once_all_end(
    client: EmotionClient, samples: Path, decodes: Callable[[DecodedClip], None]
) -> None:
    decodes(blank())
    with ThreadPoolExecutor(8) as pool:
        ends = pool.map(lambda _: list(client.stream(samples / "bunny.mp4"))[-1], range(8))
        assert all(isinstance(end, EmotionResult) for end in ends)


def test_the_time_for_an_answer_holds(server: Launched, samples: Path) -> None:
    judged = executions(server, "fusion")
    with (
        EmotionClient(server.url, timeout_s=0.3) as hasty,
        pytest.raises(RequestTimeoutError, match=r"within 0\.3 s"),
    ):
        list(hasty.stream(samples / "portrait.mp4"))
    assert executions(server, "fusion") == judged, "it did not wait for the result"


def test_what_is_no_video_is_refused_at_once(client: EmotionClient, tmp_path: Path) -> None:
    video = tmp_path / "notes.mp4"
    video.write_text("no video")
    with pytest.raises(NotAVideoError):
        list(client.stream(video))


def test_the_twin_for_asyncio_tells_the_same(
    client: EmotionClient, server: Launched, samples: Path
) -> None:
    async def events() -> list[Any]:
        async with AsyncEmotionClient(server.url) as twin:
            return [event async for event in twin.stream(samples / "title_card.mp4")]

    first, *found, result = asyncio.run(events())
    assert isinstance(first, Decoded)
    assert {event.modality: event for event in found} == evidence_of(result)
    assert untimed(result) == untimed(client.classify(samples / "title_card.mp4", attention=True))
