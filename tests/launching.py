"""Starts the real server for tests: free ports, no fixed waits, nothing left behind."""

import atexit
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tritonclient.grpc as triton
from tritonclient.utils import np_to_triton_dtype

PROJECT = Path(__file__).resolve().parent.parent
SERVER_PYTHON = Path(
    os.environ.get("VEMOCLAP_SERVER_PYTHON", PROJECT / ".venv-server" / "bin" / "python")
)
PAPER_RANDOM = PROJECT / "build" / "paper-random"
"""The paper profile with random weights, as `make paper-random` exports it."""
NO_PROBES = "--probe-interval-s"
"""With 0, the launcher sends none."""
FREE_PORTS = ("--grpc-port", "0", "--http-port", "0", "--metrics-port", "0")
TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Launched:
    """A launcher with its Triton."""

    launcher: subprocess.Popen[str]
    ready: dict[str, Any]
    """What the launcher's --ready-file says: pid, host, ports."""

    @property
    def url(self) -> str:
        return f"{self.ready['host']}:{self.ready['grpc_port']}"

    @property
    def http(self) -> str:
        return f"http://{self.ready['host']}:{self.ready['http_port']}"

    @property
    def triton_pid(self) -> int:
        return int(self.ready["pid"])

    def infer(self, model: str, arrays: Mapping[str, Any], **options: Any) -> triton.InferResult:
        """A model's response to these arrays, by name of its inputs."""
        with triton.InferenceServerClient(self.url) as connection:
            return connection.infer(model, input_tensors(arrays), **options)

    def statistics(self, model: str) -> dict[str, Any]:
        """Triton's own counts for a model: inference_count (rows), execution_count (batches)."""
        with urllib.request.urlopen(f"{self.http}/v2/models/{model}/stats") as response:
            found: dict[str, Any] = json.load(response)["model_stats"][0]
        return found

    def stop(self) -> int:
        """Stops it as Ctrl-C would; returns the launcher's exit code."""
        self.launcher.send_signal(signal.SIGINT)
        return self.launcher.wait(TIMEOUT_S)


def input_tensors(arrays: Mapping[str, Any]) -> list[triton.InferInput]:
    """Arrays as Triton's client sends them, by name of the input."""
    tensors = []
    for name, array in arrays.items():
        tensor = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensors.append(tensor.set_data_from_numpy(array))
    return tensors


def free_port() -> int:
    """A port of this machine on which nothing listens; kept for what a test starts there.

    As Address.reserved keeps it, until this process ends.
    """
    free = socket.socket()
    atexit.register(free.close)
    free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    free.bind(("127.0.0.1", 0))
    return int(free.getsockname()[1])


def spawn(*arguments: str | Path, project: Path = PROJECT) -> subprocess.Popen[str]:
    """Starts `python -m server` of a checkout and does not wait for it."""
    return subprocess.Popen(
        [str(SERVER_PYTHON), "-m", "server", *map(str, arguments)],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(
    *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m server` to its end, with these variables besides the usual."""
    return subprocess.run(
        [str(SERVER_PYTHON), "-m", "server", *map(str, arguments)],
        cwd=PROJECT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@contextmanager
def launched(
    folder: Path, arguments: Sequence[str | Path] = (), project: Path = PROJECT
) -> Iterator[Launched]:
    """A ready server for as long as the context lasts; `folder` is for its ready-file."""
    ready_file = folder / "ready.json"
    options = (*FREE_PORTS, *quiet(project), "--ready-file", ready_file)
    launcher = spawn(*options, *arguments, project=project)
    try:
        wait_until(lambda: ready_file.exists() or launcher.poll() is not None)
        assert ready_file.exists(), launcher.communicate()[0]
        yield Launched(launcher, json.loads(ready_file.read_text()))
    finally:
        if launcher.poll() is None:
            launcher.terminate()
        # Shown by pytest beside a failure: whether, and why, the server was started again.
        print(launcher.communicate(timeout=TIMEOUT_S)[0])


def quiet(project: Path) -> tuple[str, ...]:
    """Options without which the launcher in `project` sends probes, if it can.

    Most tests count what the server computes, to which probes would add. `make bench` also starts
    launchers of commits that have no probes.
    """
    launcher = (project / "server" / "__main__.py").read_text(encoding="utf-8")
    return (NO_PROBES, "0") if NO_PROBES in launcher else ()


def wait_until(condition: Any, timeout_s: float = TIMEOUT_S) -> None:
    """Polls until `condition()` holds; fails after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
