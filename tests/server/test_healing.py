"""What breaks of a server is restarted, and no request hangs meanwhile."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from server import errors
from server.health import READY
from tests.faults import TRITON, Load, clip_request, processes, small_request
from tests.launching import (
    FREE_PORTS,
    PROJECT,
    SERVER_PYTHON,
    Launched,
    launched,
    run,
    wait_until,
)
from vemoclap_client.errors import OutputError
from vemoclap_client.requests import build_inference

VEMOCLAP = (sys.executable, "-m", "vemoclap_client.cli.main", "classify")
PROBED = ("--probe-interval-s", "1")
TWO_INSTANCES = ("--instances", "fusion=2")


def server_now(folder: Path, server: Launched) -> Launched:
    """The server as its ready-file says it is by now."""
    found: dict[str, Any] = {}

    def look() -> bool:
        found.update(read(folder / "ready.json"))
        return bool(found) or server.launcher.poll() is not None

    wait_until(look)
    assert found, "the launcher has ended"
    return Launched(server.launcher, found)


def is_ready(folder: Path) -> bool:
    """As the health check's exit code 0, without a process for it."""
    return read(folder / "health.json").get("state") == READY


def read(file: Path) -> dict[str, Any]:
    """What the launcher has written; nothing where the file is not there, which may be soon."""
    try:
        found: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    return found


def health(folder: Path, *arguments: str) -> int:
    """The exit code of the containers' health check."""
    checked = subprocess.run(
        [sys.executable, "-I", PROJECT / "docker" / "healthcheck.py", *arguments],
        env={"VEMOCLAP_HEALTH_FILE": str(folder / "health.json")},
        capture_output=True,
        check=False,
    )
    return checked.returncode


def assert_ended(those: Iterable[psutil.Process]) -> None:
    """Triton keeps the remains of a killed process as a zombie."""

    def has_ended(process: psutil.Process) -> bool:
        try:
            return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    wait_until(lambda: all(map(has_ended, those)), timeout_s=20)


@dataclass(frozen=True)
class Recovery:
    """How long it took until a request was answered again, and whether Triton was restarted."""

    seconds: float
    restarted: bool


def break_one(load: Load, folder: Path, name: str, how: signal.Signals) -> Recovery:
    """Breaks a process, and waits until there is another and requests are answered again.

    The other instances of its slot may answer all the time.
    """
    before = server_now(folder, load.server)
    broken_s = time.monotonic()
    found = processes(before.triton_pid)
    found[name].send_signal(how)

    def is_replaced() -> bool:
        with suppress(psutil.NoSuchProcess):
            now = processes(server_now(folder, load.server).triton_pid)
            return now.get(name, found[name]) != found[name]
        return False

    wait_until(is_replaced)
    replaced_s = time.monotonic() - broken_s
    seconds = max(replaced_s, load.recovery_s(broken_s))
    wait_until(lambda: is_ready(folder))
    restarted = server_now(folder, load.server).triton_pid != before.triton_pid
    assert_ended(found.values() if restarted else [found[name]])
    what = "whole server" if restarted else "slot alone"
    print(f"{how.name} {name}: {seconds:.1f} s, {what}, {dict(load.errors(broken_s))}", flush=True)
    return Recovery(seconds, restarted)


def test_a_broken_slot_is_restarted_alone_and_a_stopped_triton_with_all(
    samples: Path, tmp_path: Path
) -> None:
    arguments = [*PROBED, *TWO_INSTANCES, "--health-file", tmp_path / "health.json"]
    requests = [small_request(), clip_request(samples / "title_card.mp4")]
    with launched(tmp_path, arguments) as server, Load(server, requests) as load:
        load.recovery_s(0)
        wait_until(lambda: is_ready(tmp_path))
        assert not break_one(load, tmp_path, "image_encoder_0_0", signal.SIGKILL).restarted
        assert not break_one(load, tmp_path, "fusion_0_0", signal.SIGSTOP).restarted
        assert break_one(load, tmp_path, TRITON, signal.SIGSTOP).restarted
    assert (health(tmp_path), health(tmp_path, "--live")) == (1, 1)


MODEL = '''
"""Does with a request what the file at MOOD says."""
import os
import resource
import threading
from pathlib import Path
import numpy as np
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        mood = Path("MOOD").read_text()
        if mood == "deadlock":
            threading.Event().wait()
        if mood == "die":
            os._exit(1)
        if mood == "fail":
            raise RuntimeError("it is in a bad mood")
        output = pb_utils.Tensor("PROBABILITIES", np.zeros((1, 6), np.float32))
        return [pb_utils.InferenceResponse([output]) for _ in requests]
'''
CONFIG = """
name: "vemoclap"
backend: "python"
max_batch_size: 8
input [
  { name: "FRAMES", data_type: TYPE_UINT8, dims: [ 16, -1, -1, 3 ] },
  { name: "AUDIO", data_type: TYPE_FP32, dims: [ -1 ] }
]
output [ { name: "PROBABILITIES", data_type: TYPE_FP32, dims: [ 6 ] } ]
instance_group [ { kind: KIND_CPU, count: 1 } ]
"""


@pytest.fixture
def mood(tmp_path: Path) -> Callable[[str], Path]:
    """Sets what a repository's one model does with requests; returns the repository."""
    version = tmp_path / "models" / "vemoclap" / "1"
    version.mkdir(parents=True)
    (version.parent / "config.pbtxt").write_text(CONFIG)
    (version / "model.py").write_text(MODEL.replace("MOOD", str(tmp_path / "mood")))

    def set_to(what: str) -> Path:
        (tmp_path / "mood").write_text(what)
        return tmp_path / "models"

    return set_to


@pytest.mark.parametrize("what", ["deadlock", pytest.param("fail", marks=pytest.mark.soak)])
def test_a_server_that_does_not_work_is_restarted(
    what: str, mood: Callable[[str], Path], tmp_path: Path
) -> None:
    arguments = [*PROBED, "--health-file", tmp_path / "health.json"]
    with launched(tmp_path, ["--model-repository", mood(""), *arguments]) as server:
        wait_until(lambda: is_ready(tmp_path))
        assert health(tmp_path) == 0
        mood(what)
        wait_until(lambda: not (tmp_path / "ready.json").exists())
        mood("")
        assert health(tmp_path, "--live") == 0
        assert server_now(tmp_path, server).triton_pid != server.triton_pid
        wait_until(lambda: is_ready(tmp_path))


SLOT = '''
"""Deadlocks where there is a file at TRAP, which it takes away: the next request is answered."""
import threading
from pathlib import Path
import numpy as np
from server.slots.serving import triton_model
class Slot:
    def __init__(self, folder, device=None):
        pass
    async def run(self, inputs, infer):
        if "CALLED":
            return await infer("CALLED", {"X": inputs["X"][None]}, ["Y"]) | {"Y": np.ones(1)}
        if Path("TRAP").exists():
            Path("TRAP").unlink()
            threading.Event().wait()
        return {"Y": np.ones(1)}
TritonPythonModel = triton_model(Slot)
'''
SLOT_CONFIG = """
name: "NAME"
backend: "python"
max_batch_size: 1
input [ { name: "X", data_type: TYPE_FP32, dims: [ 1 ] } ]
output [ { name: "Y", data_type: TYPE_FP32, dims: [ 1 ] } ]
instance_group [ { kind: KIND_CPU, count: 2 } ]
"""


def test_one_of_two_instances_that_deadlocks_is_noticed_while_the_other_answers(
    tmp_path: Path,
) -> None:
    """The slot that waits for it is left alone."""
    trap = tmp_path / "trap"
    for name, called in (("caller", "called"), ("called", "")):
        version = tmp_path / "models" / name / "1"
        version.mkdir(parents=True)
        (version.parent / "config.pbtxt").write_text(SLOT_CONFIG.replace("NAME", name))
        program = SLOT.replace("TRAP", str(trap)).replace("CALLED", called)
        (version / "model.py").write_text(program)
    repository = ["--model-repository", tmp_path / "models"]
    inference = build_inference("caller", {"X": np.ones((1, 1), np.float32)}, ("Y",))
    with (
        launched(tmp_path, [*repository, *PROBED]) as server,
        Load(server, [inference] * 2) as load,
    ):
        load.recovery_s(0)
        before = processes(server.triton_pid)
        trap.touch()
        wait_until(lambda: not trap.exists())
        caught_s = time.monotonic()
        load.recovery_s(caught_s)  # By the other instance.
        wait_until(lambda: load.errors(caught_s))
        load.recovery_s(max(o.ended_s for o in load.outcomes if o.error))
        print(f"errors after {[round(o.ended_s - caught_s, 1) for o in load.outcomes if o.error]}")
        assert load.errors(0).keys() <= {"InferenceError", "ServerNotReadyError"}
        after = processes(server.triton_pid)
        kept = {name for name in before if before[name].pid == after[name].pid}
        assert kept == {TRITON, "caller_0_0", "caller_0_1"}


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("die", ""),
        pytest.param("fail", "3 probes failed: .*it is in a bad mood", marks=pytest.mark.soak),
    ],
)
def test_a_server_that_never_answers_is_given_up(
    what: str, reason: str, mood: Callable[[str], Path]
) -> None:
    finished = run("--model-repository", mood(what), *FREE_PORTS, *PROBED)
    assert finished.returncode == errors.ServerDiedError.exit_code
    assert finished.stderr.count("; starting again") == 3
    last = finished.stderr.rpartition("; starting again")[2]
    assert re.search(reason, last)
    assert "4 times in a row without answering" in last


def launcher(*arguments: str | Path) -> list[str]:
    """The command of a launcher on free ports."""
    return [str(SERVER_PYTHON), "-m", "server", *FREE_PORTS, *map(str, arguments)]


def limited_to(size_bytes: int) -> list[str]:
    """As a disk that is full: the command that comes after it can write no larger file.

    Not by preexec_fn: a process that uses gRPC, as this one does, may crash between fork and exec
    (grpc#43055).
    """
    return ["prlimit", f"--fsize={size_bytes}"]


@pytest.mark.parametrize("full", ["temporary folder", "ready-file"])
def test_a_server_that_cannot_write_its_files_says_so(
    full: str, mood: Callable[[str], Path], tmp_path: Path
) -> None:
    ready_file = "/dev/full" if full == "ready-file" else tmp_path / "ready.json"
    finished = subprocess.run(
        [
            *(limited_to(1000) if full == "temporary folder" else []),
            *launcher("--model-repository", mood(""), "--ready-file", ready_file),
        ],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == errors.ServerStartError.exit_code
    assert ("No space left" if full == "ready-file" else "File too large") in finished.stderr
    assert "Traceback" not in finished.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("models", "mood")] == []


def test_a_full_disk_under_its_output_and_its_health_does_not_stop_the_server(
    mood: Callable[[str], Path],
) -> None:
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run(
            launcher("--model-repository", mood(""), "--health-file", "/dev/full", "--", "true"),
            cwd=PROJECT,
            stdout=full,
            stderr=full,
            check=False,
        )
    assert finished.returncode == 0
    assert Path("/dev/full").is_char_device()


def test_a_full_disk_leaves_no_half_written_result(
    server: Launched, samples: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    finished = subprocess.run(
        [
            *limited_to(100),
            *(*VEMOCLAP, "--url", server.url),
            *("--json-dir", results, samples / "title_card.mp4"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == OutputError.exit_code
    assert "File too large" in finished.stderr
    assert list(results.iterdir()) == []


@pytest.mark.soak
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=lambda how: how.name)
def test_each_process_in_turn(how: signal.Signals, samples: Path, tmp_path: Path) -> None:
    """Twenty faults in one launcher's life: it neither gives up nor leaves anything behind."""
    requests = [small_request(), small_request(), clip_request(samples / "portrait.mp4")]
    arguments = [*PROBED, *TWO_INSTANCES, "--health-file", tmp_path / "health.json"]
    with launched(tmp_path, arguments) as server, Load(server, requests) as load:
        wait_until(lambda: is_ready(tmp_path))
        names = list(processes(server.triton_pid))
        found = [break_one(load, tmp_path, name, how) for name in names]
        longest_s = max(recovery.seconds for recovery in found)
        left = processes(server_now(tmp_path, server).triton_pid).values()
        answered = sum(outcome.error is None for outcome in load.outcomes)
        print(
            f"{len(found)} faults, {sum(each.restarted for each in found)} with the whole server, "
            f"longest {longest_s:.1f} s; {answered} answered, {dict(load.errors(0))}"
        )
        server.launcher.kill()
        assert_ended(left)
