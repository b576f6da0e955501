"""The service page's numbers on a real server: they are those of the requests that were made."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from export.registry import PROFILES
from tests.launching import Launched
from ui.screens.service.activity import History
from ui.screens.service.facts import advice, headline, model_rows, status
from ui.screens.service.metrics import Metrics, fetch_metrics
from ui.screens.service.slots import SLOTS
from ui.screens.service.state import Readiness, ServerState, poll
from ui.screens.service.trial import send_test_clip
from vemoclap_client import EmotionClient, FrameFormat
from vemoclap_client.contract import AUDIO, ENSEMBLE, JPEG_ENTRY, JPEG_FRAMES

DEADLINE_S = 10.0


def eventually(server: Launched, holds: Callable[[ServerState], bool]) -> ServerState:
    """A state of which that holds: Triton counts a request shortly after it has answered."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        state = poll(server.url, timeout_s=DEADLINE_S)
        if holds(state) or time.monotonic() > deadline:
            return state
        time.sleep(0.05)


def settled(
    server: Launched, before: ServerState, requests: int, steps: Sequence[str] = ()
) -> ServerState:
    """The state after so many more requests to the ensemble, each of which calls these steps once.

    Each model counts for itself, so that the last steps may count after the ensemble.
    """

    def have_counted(state: ServerState) -> bool:
        done = {name: state.counters[name] - before.counters[name] for name in (ENSEMBLE, *steps)}
        return all(count.requests >= requests for count in done.values()) and all(
            done[name].executions >= requests for name in steps
        )

    return eventually(server, have_counted)


def at_rest(server: Launched) -> ServerState:
    """The state once what was answered before has been counted: it stays the same for a while."""
    states = [poll(server.url, timeout_s=DEADLINE_S)]

    def stays(state: ServerState) -> bool:
        states.append(state)
        return states[-2].counters == state.counters

    return eventually(server, stays)


def metrics_url(server: Launched) -> str:
    return f"http://{server.ready['host']}:{server.ready['metrics_port']}/metrics"


def test_a_ready_server_is_told_with_its_models(server: Launched) -> None:
    state = poll(server.url, timeout_s=DEADLINE_S)
    assert state.trouble is None
    assert state.can_classify
    assert state.not_ready == []
    assert "is ready" in status(state, server.url)
    assert advice(state) == []
    found = {model.name: model for model in state.models}
    assert set(found) == set(SLOTS)
    assert (found["fusion"].backend, found["fusion"].version) == ("onnxruntime", "1")
    assert (found[ENSEMBLE].backend, found["face_analyzer"].backend) == ("ensemble", "python")
    left_out = {name for name, model in found.items() if model.readiness is Readiness.LEFT_OUT}
    optional = {name for name, slot in SLOTS.items() if slot.is_optional}
    assert left_out == optional - PROFILES["embedded"].keys()
    assert poll(server.url, state, DEADLINE_S).models == state.models


def test_counts_are_those_of_the_requests_made(
    server: Launched, client: EmotionClient, samples: Path
) -> None:
    history = History()
    before = at_rest(server)
    history.add(before)
    for _ in range(2):
        client.classify(samples / "title_card.mp4")
    steps = ("frame_preprocessor", "image_encoder", "face_detector", "face_analyzer", "fusion")
    history.add(settled(server, before, 2, steps))
    activity = history.recent(600)
    for name in (ENSEMBLE, *steps):
        assert activity[name].work.requests == 2, name
        assert activity[name].work.failures == 0
    # Of equal frames in a row one is sent: the sample is two cards, and each stands still.
    assert activity["face_detector"].work.rows == 4
    assert activity["face_detector"].batch == pytest.approx(2)
    whole, step = activity[ENSEMBLE], activity["face_analyzer"]
    assert whole.request_ms and step.request_ms and step.queue_ms is not None and step.compute_ms
    assert step.queue_ms + step.compute_ms <= step.request_ms * 1.01
    assert step.request_ms < whole.request_ms
    assert whole.seconds and whole.per_minute == pytest.approx(120 / whole.seconds)
    assert history.total()[ENSEMBLE].work.requests >= 2


def test_a_jpeg_clip_is_answered_once_and_a_broken_one_failed_once(
    server: Launched, samples: Path
) -> None:
    def read(state: ServerState) -> tuple[ServerState, Metrics]:
        metrics = fetch_metrics(metrics_url(server), DEADLINE_S)
        return state.with_metrics(metrics, None), metrics

    history = History()
    before, _ = read(at_rest(server))
    history.add(before)
    with EmotionClient(server.url, frame_format=FrameFormat.JPEG) as client:
        client.classify(samples / "title_card.mp4")
    broken = {
        JPEG_FRAMES: np.array([[b"no JPEG"] * 16], object),
        AUDIO: np.zeros((1, 0), np.float32),
    }
    with pytest.raises(InferenceServerException):
        server.infer(JPEG_ENTRY, broken)
    after, metrics = read(settled(server, before, requests=1))
    history.add(after)
    numbers = headline(history.recent(600), metrics)
    assert (numbers.clips, numbers.failures, numbers.refused) == (1, 1, 0)


def test_metrics_agree_with_the_statistics(server: Launched) -> None:
    metrics = fetch_metrics(metrics_url(server), DEADLINE_S)
    state = poll(server.url, timeout_s=DEADLINE_S)
    assert set(metrics.pending) == set(state.counters)
    assert set(metrics.pending.values()) == {0}
    assert metrics.memory_used_bytes and metrics.memory_total_bytes
    assert metrics.memory_used_bytes < metrics.memory_total_bytes
    history = History()
    history.add(state)
    assert headline(history.total(), metrics).waiting == 0
    rows = {row["model"]: row for row in model_rows(state, history.total(), metrics)}
    assert rows["fusion"]["waiting"] == 0
    assert rows["captioner"]["waiting"] is None


def test_a_test_clip_goes_through_every_step_and_names_the_head(server: Launched) -> None:
    before = at_rest(server)
    trial = send_test_clip(server.url)
    assert (trial.profile, trial.head.kind, trial.head.trained_on) == (
        "embedded",
        "zero-shot",
        None,
    )
    assert trial.took_ms > 0
    steps = ("screen_reader", "speech_recognizer", "audio_analyzer", "answer_writer")
    after = settled(server, before, 1, steps)
    for name in steps:
        assert after.counters[name].requests == before.counters[name].requests + 1, name
