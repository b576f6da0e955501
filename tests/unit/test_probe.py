"""When the launcher sends a request of its own, and what it makes of the answers."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, cast

import pytest
from tritonclient.grpc.model_config_pb2 import ModelConfig

from server import probe
from server.control import ModelControl
from server.probe import Probe
from tests.launching import wait_until
from vemoclap_client.contract import ENSEMBLE, ENTRY
from vemoclap_client.errors import InferenceError, ServerError, ServerOverloadedError

CONFIGS = {
    ENTRY: ModelConfig(),
    ENSEMBLE: ModelConfig(platform="ensemble"),
    "fusion": ModelConfig(platform="other"),
}
BROKEN, BUSY = InferenceError("it failed"), ServerOverloadedError("it is busy")


class Control:
    """A server's answers, as a test wants them."""

    def __init__(self) -> None:
        self.count = 0
        self.others_succeed = False
        self.sent: list[str] = []
        self.answer: Callable[[], ServerError | None] | None = lambda: None

    def successes(self, models: Collection[str]) -> int:
        assert list(models) == [ENSEMBLE]
        self.count += self.others_succeed
        return self.count

    def is_live(self) -> bool:
        return True

    def infer(
        self, model: str, tensors: Mapping[str, Any], on_end: Callable[[ServerError | None], None]
    ) -> None:
        self.sent.append(model)
        if self.answer is not None:
            on_end(self.answer())


@pytest.fixture
def control() -> Control:
    return Control()


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "LOOK_INTERVAL_S", 0.01)


@pytest.fixture
def running(control: Control) -> Iterator[Callable[..., Probe]]:
    """Starts a probe with an interval of 0.05 s."""
    started = []

    def start(configs: Mapping[str, ModelConfig] = CONFIGS, interval_s: float | None = 0.05) -> Any:
        made = Probe(cast(ModelControl, control), configs, interval_s).running()
        started.append(made)
        return made.__enter__()

    yield start
    for made in started:
        made.__exit__(None, None, None)


def test_a_server_that_nobody_asks_is_asked_again_and_again(
    control: Control, running: Callable[..., Probe]
) -> None:
    asked = running()
    wait_until(lambda: asked.answers >= 3)
    assert len(control.sent) >= 3
    assert set(control.sent) == {ENTRY}


def test_answers_to_others_make_a_probe_needless(
    control: Control, running: Callable[..., Probe]
) -> None:
    control.others_succeed = True
    asked = running()
    wait_until(lambda: asked.answers >= 20)
    # At most the first, before anything was seen to succeed.
    assert len(control.sent) <= 1


def test_an_ensemble_that_counts_from_zero_again_is_not_taken_for_silent(
    control: Control, running: Callable[..., Probe]
) -> None:
    control.count = 100
    asked = running()
    wait_until(lambda: asked.answers >= 1)
    control.count, control.answer = 0, None
    wait_until(lambda: asked.is_unanswered)
    control.others_succeed = True
    wait_until(lambda: not asked.is_unanswered)


def test_a_probe_without_an_answer_is_not_sent_twice(
    control: Control, running: Callable[..., Probe]
) -> None:
    control.answer = None
    asked = running()
    wait_until(lambda: asked.is_unanswered)
    time.sleep(0.3)
    assert len(control.sent) == 1
    assert asked.answers == asked.failures == 0


@pytest.mark.parametrize(("error", "is_failure"), [(BROKEN, True), (BUSY, False)])
def test_a_failure_counts_and_busy_is_neither_failure_nor_answer(
    error: ServerError, is_failure: bool, control: Control, running: Callable[..., Probe]
) -> None:
    control.answer = lambda: error
    asked = running()
    wait_until(lambda: len(control.sent) >= 3)
    # In a moment the next one is sent.
    wait_until(lambda: asked.is_unanswered != is_failure)
    assert asked.error == str(error)
    assert asked.answers == 0
    assert (asked.failures >= 2) == is_failure
    asked.begin_again()
    assert asked.failures <= 1  # One may have been sent meanwhile.
    control.answer = lambda: None
    wait_until(lambda: asked.answers > 0)
    assert (asked.failures, asked.error) == (0, "")


@pytest.mark.parametrize(("error", "sent"), [(BROKEN, 1), (BUSY, 2)])
def test_what_was_busy_is_asked_again_at_once_and_what_failed_later(
    error: ServerError, sent: int, control: Control, running: Callable[..., Probe]
) -> None:
    errors = iter([error])
    control.answer = lambda: next(errors, None)
    asked = running(interval_s=600.0)
    wait_until(lambda: len(control.sent) >= sent)
    time.sleep(0.3)
    assert len(control.sent) == sent
    assert not asked.is_unanswered


def test_a_repository_without_the_ensemble_is_asked_whether_it_is_live(
    control: Control, running: Callable[..., Probe]
) -> None:
    control.successes = lambda models: 0  # type: ignore[method-assign]
    asked = running({"fusion": CONFIGS["fusion"]})
    wait_until(lambda: asked.answers >= 2)
    assert control.sent == []


def test_a_server_that_is_never_probed_counts_as_answering(
    control: Control, running: Callable[..., Probe]
) -> None:
    asked = running(interval_s=None)
    assert asked.answers == 1
    asked.begin_again()  # After something was restarted.
    assert asked.answers == 2
    assert control.sent == []
