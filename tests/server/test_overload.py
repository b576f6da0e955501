"""More than the server takes: requests wait in their order, what is too much for that is refused at
once, our clients try again, and nobody gets a wrong answer."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

from tests.clips import write_clip
from tests.launching import Launched, input_tensors, launched, wait_until
from tests.load import REFUSED, SHORT, WAITING, Load, Outcome, counted, expected_answers, run_load
from vemoclap_client import AsyncEmotionClient, EmotionClient, FrameFormat
from vemoclap_client.contract import AUDIO, ENTRY, FRAME_COUNT, FRAMES, PROBABILITIES
from vemoclap_client.errors import RequestRejectedError, ServerOverloadedError
from vemoclap_client.requests import build_inference
from vemoclap_client.sending import send
from vemoclap_client.server_errors import server_error

CLIPS_AT_ONCE = 2
CLIPS_WAITING = 6
MB_AT_ONCE = 20
SILENCE = np.zeros((1, 0), np.float32)


def frames(height: int, clips: int = 1) -> Any:
    return np.zeros((clips, FRAME_COUNT, height, 64, 3), np.uint8)


def slow_frames(clips: int) -> Any:
    """They take long: all of them differ."""
    random = np.random.default_rng(0)
    return random.integers(0, 256, (clips, FRAME_COUNT, 320, 320, 3), np.uint8)


def begun(server: Launched) -> int:
    """How many clips were begun: the preprocessor is the first step."""
    return int(server.statistics("frame_preprocessor")["inference_count"])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """A server that takes two clips at once, and lets six wait."""
    limits = {
        "--clips-at-once": CLIPS_AT_ONCE,
        "--mb-at-once": MB_AT_ONCE,
        "--clips-waiting": CLIPS_WAITING,
    }
    arguments = [str(each) for option in limits.items() for each in option]
    with launched(tmp_path_factory.mktemp("small"), arguments) as running:
        yield running


def test_requests_are_answered_in_the_order_of_their_arrival(small: Launched) -> None:
    # Each takes the whole server, the first one for long.
    clips = [slow_frames(CLIPS_AT_ONCE), *[frames(64, CLIPS_AT_ONCE)] * 3]
    silence = np.repeat(SILENCE, CLIPS_AT_ONCE, axis=0)
    answered: list[int] = []

    async def ask(connection: Any, number: int) -> None:
        tensors = input_tensors({FRAMES: clips[number], AUDIO: silence})
        await connection.infer(ENTRY, tensors, client_timeout=60)
        answered.append(number)

    async def ask_in_turn() -> None:
        before = begun(small)
        async with triton_aio.InferenceServerClient(small.url) as connection:
            asked = []
            for number in range(len(clips)):
                asked.append(asyncio.create_task(ask(connection, number)))
                arrived = partial(has_arrived, number, before)
                await asyncio.to_thread(wait_until, arrived)
            asked[2].cancel()
            await asyncio.to_thread(wait_until, lambda: counted(small, WAITING) < len(clips) - 1)
            await asyncio.gather(*asked, return_exceptions=True)
        clips_begun = begun(small) - before
        assert clips_begun == CLIPS_AT_ONCE * (len(clips) - 1), "the cancelled one was begun"

    def has_arrived(number: int, before: int) -> bool:
        return counted(small, WAITING) == number if number else begun(small) > before

    asyncio.run(ask_in_turn())
    assert answered == [0, 1, 3]
    assert counted(small, WAITING) == 0


def test_what_is_too_much_is_refused_at_once_and_the_rest_is_answered(small: Launched) -> None:
    ended: list[str] = []

    async def ask(connection: Any, clip: Any) -> Any:
        try:
            tensors = input_tensors({FRAMES: clip, AUDIO: SILENCE})
            answer = await connection.infer(ENTRY, tensors, client_timeout=60)
        except InferenceServerException as error:
            ended.append("refused")
            return error
        ended.append("answered")
        return answer.as_numpy(PROBABILITIES)

    async def ask_many() -> list[Any]:
        before = begun(small)
        async with triton_aio.InferenceServerClient(small.url) as connection:
            # As many as the server takes at once, so that nothing is answered soon.
            slow = [
                asyncio.create_task(ask(connection, slow_frames(1))) for _ in range(CLIPS_AT_ONCE)
            ]
            await asyncio.to_thread(wait_until, lambda: begun(small) - before >= CLIPS_AT_ONCE)
            found = await asyncio.gather(*(ask(connection, frames(64)) for _ in range(20)))
            await asyncio.gather(*slow)
            return found

    found = asyncio.run(ask_many())
    refused = [each for each in found if isinstance(each, InferenceServerException)]
    answered = [each for each in found if not isinstance(each, InferenceServerException)]
    assert len(answered) >= CLIPS_WAITING
    assert refused
    np.testing.assert_allclose(answered, 1 / 6, atol=1e-5)
    assert ended[0] == "refused", "the first answer took longer than the refusals"
    for error in refused:
        assert error.status() == "StatusCode.UNAVAILABLE"
        overloaded = server_error(error, small.url, 1, connected=True)
        assert isinstance(overloaded, ServerOverloadedError)
        assert overloaded.retry_after_s


@pytest.mark.soak
def test_every_client_gets_its_answer_in_the_end(small: Launched, tmp_path: Path) -> None:
    film = write_clip(tmp_path / "film.mp4", seconds=3, fps=5)

    def as_jpeg(client: EmotionClient) -> Any:
        with EmotionClient(client.url, frame_format=FrameFormat.JPEG) as other:
            return other.classify(film).frame_times_s

    def in_asyncio(client: EmotionClient) -> Any:
        async def classify() -> Any:
            async with AsyncEmotionClient(client.url) as twin:
                return (await twin.classify(film)).frame_times_s

        return asyncio.run(classify())

    ways: list[Callable[[EmotionClient], Any]] = [
        lambda client: client.classify(film).frame_times_s,
        as_jpeg,
        lambda client: list(client.stream(film))[-1].frame_times_s,  # type: ignore[union-attr]
        in_asyncio,
        lambda client: len(client.timeline(film, 2, 1).windows),
    ]
    refusals = counted(small, REFUSED)
    # Three of each: more than the server takes and lets wait.
    asked = [way for way in ways for _ in range(3)]
    with EmotionClient(small.url) as client, ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda way: way(client), asked))
    assert answers == [answer for answer in (*[answers[0]] * 4, 2) for _ in range(3)]
    assert counted(small, REFUSED) > refusals, "nothing was sent again"


def test_what_is_larger_than_the_server_takes_is_rejected_and_not_sent_again(
    small: Launched,
) -> None:
    with triton.InferenceServerClient(small.url) as connection:
        height = MB_AT_ONCE * 1_000_000 // (FRAME_COUNT * 64 * 3) + 1
        request = build_inference(ENTRY, {FRAMES: frames(height), AUDIO: SILENCE}, [PROBABILITIES])
        with pytest.raises(RequestRejectedError, match=r"at most 2 clips of 20 MB.*--mb-at-once"):
            send(connection, request, small.url, 60)


def assert_it_holds(server: Launched, load: Load) -> Outcome:
    found = run_load(server, load, expected_answers(server))
    print(found)
    assert found.errors == {}
    assert found.answered >= load.at_least
    assert found.largest_difference <= load.tolerance
    for who in ("server", "client"):
        first, *_, last = found.memory_mb[who]
        assert last <= first * (1 + load.growth), who
    return found


def test_under_load_no_answer_is_wrong_and_no_memory_is_lost(small: Launched) -> None:
    assert assert_it_holds(small, SHORT).refused, "it was not too much for the server"


@pytest.mark.soak
def test_ten_minutes_of_64_clients(server: Launched) -> None:
    found = assert_it_holds(server, Load())
    # Where all wait in one queue, nobody waits much longer than others.
    assert max(found.latencies_s) <= 3 * np.median(found.latencies_s)
