"""What the launcher takes for broken, judged on real processes."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest
from tritonclient.grpc.model_config_pb2 import ModelConfig

from server import idleness, watching
from server import probe as probe_module
from server.control import ModelControl
from server.executions import FOLDER_VARIABLE
from server.probe import Probe
from server.watching import Trouble, Watch
from tests.launching import wait_until
from vemoclap_client.contract import ENTRY
from vemoclap_client.errors import InferenceError, ServerError, ServerOverloadedError

STUB = """
import subprocess, sys, time
children = [subprocess.Popen([sys.executable, "-c", work, name]) for work, name in {children}]
print("started", flush=True)
time.sleep(600)
"""
"""A process with children, each with its instance's name on its command line, as Triton's have."""
IDLE = "import time; time.sleep(600)"
BUSY = "while True: pass"
EXECUTES = """
import time
from server.executions import EXECUTION
with EXECUTION.running():
    {}
"""
SLOT, OTHER = "face_analyzer_0_0", "fusion_0_1"


@contextmanager
def parent_of(**children: str) -> Iterator[psutil.Popen]:
    """A process with these children: instance -> program."""
    program = STUB.format(children=[(work, name) for name, work in children.items()])
    with psutil.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        try:
            assert parent.stdout.readline() == b"started\n"
            yield parent
        finally:
            for process in (*parent.children(), parent):
                process.kill()


@contextmanager
def probing(
    error: ServerError, monkeypatch: pytest.MonkeyPatch, interval_s: float
) -> Iterator[Probe]:
    """A real probe that begins, of an idle server that ends each request with this error."""
    monkeypatch.setattr(probe_module, "LOOK_INTERVAL_S", 0.01)
    control = SimpleNamespace(
        successes=lambda models: 0, infer=lambda model, tensors, on_end: on_end(error)
    )
    with Probe(cast(ModelControl, control), {ENTRY: ModelConfig()}, interval_s).running() as begun:
        yield begun


def probe(**state: Any) -> Probe:
    given = {"answers": 1, "is_unanswered": False, "failures": 0, "error": "", **state}
    return cast(Probe, SimpleNamespace(**given))


def watch_of(pid: int, its_probe: Probe, executions: Path = Path("/nowhere")) -> Watch:
    return Watch(pid, its_probe, executions)


def trouble_within(watch: Watch, seconds: float) -> Trouble | None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := watch.trouble():
            return found
        time.sleep(0.02)
    return None


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "STOPPED_S", 0.1)
    monkeypatch.setattr(idleness, "PATIENCE_S", 0.5)


@pytest.mark.parametrize(
    ("how", "what"), [(signal.SIGKILL, "ended"), (signal.SIGSTOP, "was stopped")]
)
def test_a_killed_or_stopped_process_is_named_and_its_slot_alone_is_broken(
    how: signal.Signals, what: str
) -> None:
    with parent_of(**{SLOT: IDLE, OTHER: IDLE}) as parent:
        watch = watch_of(parent.pid, probe())
        assert watch.trouble() is None
        next(p for p in parent.children() if SLOT in p.cmdline()).send_signal(how)
        found = trouble_within(watch, 20)
        assert found == Trouble(f"the process of {SLOT} {what}", frozenset({"face_analyzer"}))


def test_what_was_killed_to_be_loaded_again_is_not_reported_again() -> None:
    with parent_of(**{SLOT: IDLE, OTHER: IDLE}) as parent:
        watch = watch_of(parent.pid, probe())
        watch.kill(frozenset({"face_analyzer"}))
        assert trouble_within(watch, 20)
        assert psutil.STATUS_ZOMBIE in {child.status() for child in parent.children()}
        watch.renew()
        assert trouble_within(watch, 0.3) is None


def test_a_stopped_triton_breaks_all_slots() -> None:
    with parent_of(**{SLOT: IDLE}) as parent:
        watch = watch_of(parent.pid, probe())
        parent.send_signal(signal.SIGSTOP)
        assert trouble_within(watch, 20) == Trouble("the process of Triton was stopped")


def test_a_server_that_computes_nothing_and_answers_nobody_is_stuck() -> None:
    with parent_of(**{SLOT: IDLE}) as parent:
        found = trouble_within(watch_of(parent.pid, probe(is_unanswered=True)), 20)
    assert found
    assert "no request was answered" in found.reason
    assert not found.slots


def test_a_server_that_computes_is_only_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    with parent_of(**{SLOT: BUSY}) as parent:
        watch = watch_of(parent.pid, probe(is_unanswered=True))
        assert trouble_within(watch, 2) is None
        monkeypatch.setattr(watching, "LONGEST_WAIT_S", 1.0)
        assert trouble_within(watch, 20)


def test_a_process_that_executes_a_request_and_computes_nothing_is_deadlocked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    sound = {
        OTHER: EXECUTES.format(BUSY),
        "screen_reader_0_0": EXECUTES.format("with EXECUTION.calling(): time.sleep(600)"),
        "audio_analyzer_0_0": EXECUTES.format("pass") + IDLE,
    }
    with parent_of(**sound) as parent:
        watch = watch_of(parent.pid, probe(), tmp_path)
        wait_until(lambda: len(list(tmp_path.iterdir())) == len(sound))
        assert trouble_within(watch, 2) is None
    with parent_of(**{SLOT: EXECUTES.format("time.sleep(600)"), **sound}) as parent:
        found = trouble_within(watch_of(parent.pid, probe(), tmp_path), 20)
    assert found
    assert found.reason.startswith(f"the process of {SLOT} has not answered a request")
    assert found.slots == {"face_analyzer"}


def test_answers_to_others_are_answers() -> None:
    with parent_of(**{SLOT: IDLE}) as parent:
        asked = probe(is_unanswered=True)
        watch = watch_of(parent.pid, asked)
        for _ in range(100):
            asked.answers += 1
            assert watch.trouble() is None
            time.sleep(0.01)


def test_time_in_which_the_launcher_itself_did_not_run_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(idleness, "PATIENCE_S", 5.0)
    with parent_of(**{SLOT: IDLE}) as parent:
        watch = watch_of(parent.pid, probe(is_unanswered=True))
        assert watch.trouble() is None
        now_s = time.monotonic()
        monkeypatch.setattr(watching.time, "monotonic", lambda: now_s + 3600)
        assert watch.trouble() is None


def test_probes_that_fail_one_after_the_other_break_the_server() -> None:
    with parent_of(**{SLOT: IDLE}) as parent:
        assert watch_of(parent.pid, probe(failures=2)).trouble() is None
        found = watch_of(parent.pid, probe(failures=3, error="a model failed")).trouble()
    assert found == Trouble("3 probes failed: a model failed")


def test_an_idle_server_is_broken_by_three_failed_probes_and_not_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = InferenceError("a model failed")
    with parent_of(**{SLOT: IDLE}) as parent, probing(error, monkeypatch, 1.0) as asked:
        found = trouble_within(watch_of(parent.pid, asked), 20)
    assert found == Trouble("3 probes failed: a model failed")


def test_an_idle_server_that_stays_busy_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ServerOverloadedError("16 clips wait")
    with parent_of(**{SLOT: IDLE}) as parent, probing(error, monkeypatch, 1.0) as asked:
        found = trouble_within(watch_of(parent.pid, asked), 20)
    assert found
    assert found.reason.endswith("computes nothing; the last probe: 16 clips wait")
