"""What the tests of `vemoclap batch` share: clips, a cluster, the command, its rows."""

import math
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pyarrow.parquet as pq

from tests.clips import solid_frame, write_clip
from tests.launching import PROJECT
from vemoclap_client.batch.rows import error_row
from vemoclap_client.batch.worker import ClipWorker
from vemoclap_client.errors import VideoError

COMMAND = (sys.executable, "-m", "vemoclap_client.cli.main", "batch")
LONGEST_S = 1200.0
STORE_BYTES = 100_000_000
"""Of a node's object store."""

NODE_STARTS = 3
LOG_END = 2000
"""Characters of a log that are shown."""

ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join(map(str, (PROJECT, PROJECT / "client"))),
    "OMP_NUM_THREADS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray would kill workers because other programs fill the machine's memory.
    "RAY_memory_monitor_refresh_ms": "0",
    # By default a node's processes get next to nothing beside the other tests.
    "RAY_worker_niceness": "0",
}
"""Of the command and of the cluster's nodes."""


class NodeStartWarning(UserWarning):
    """A node of Ray's did not start and is started again."""


def write_clips(folder: Path, count: int) -> list[Path]:
    """Small clips of one grey each, cheap to decode and to classify, and all different."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        frames = [solid_frame((16 + number % 200, 128, 128), (64, 48), "yuv420p")] * 16
        path = folder / f"{number:04}.mp4"
        paths.append(write_clip(path, frames=frames, fps=8, start_s=number / 1000))
    return paths


@contextmanager
def cluster_of_two_nodes(folder: Path, **of_nodes: str) -> Iterator[Any]:
    """A Ray cluster on this machine, two nodes of one processor each.

    Args:
        folder: of the first node's files.
        of_nodes: variables of the nodes' environment, which this process does not get.
    """
    with mock.patch.dict(os.environ, {**ENVIRONMENT, "RAY_AUTH_MODE": "disabled"}):
        yield from _cluster_of_two_nodes(folder, of_nodes)


def _cluster_of_two_nodes(folder: Path, of_nodes: dict[str, str]) -> Iterator[Any]:
    import ray
    from ray._common.utils import get_default_ray_temp_dir
    from ray.cluster_utils import Cluster

    # Ray gives each program of a node 30 s to start. A disk that is read for the first time, a page
    # at a time and beside other tests, may be why that was too little once: not proven.
    for program in (Path(ray.__file__).parent / "core").rglob("*"):
        if program.is_file():
            program.read_bytes()
    # The cluster's address is written there, whatever folder its nodes use.
    Path(get_default_ray_temp_dir()).mkdir(exist_ok=True)
    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    starting = mock.patch.dict(os.environ, of_nodes)
    with starting:
        head = {**node, "temp_dir": str(folder)}
        cluster = _started(folder, partial(Cluster, initialize_head=True, head_node_args=head))
    try:
        with starting:
            _started(folder, partial(cluster.add_node, **node))
        yield cluster
    finally:
        cluster.shutdown()


def _started(folder: Path, start: Callable[[], Any]) -> Any:
    """What `start` returns, which starts a node whose files are in `folder`.

    Ray gives each step of it 30 s and does not say what was wrong when they have passed, which is
    rare: a warning says it, and the node is started again, without what is left of it.
    """
    for _ in range(NODE_STARTS - 1):
        before = psutil.Process().children(recursive=True)
        try:
            return start()
        except Exception as error:
            if "timed out" not in str(error).lower():
                raise
            left = set(psutil.Process().children(recursive=True)) - set(before)
            warnings.warn(NodeStartWarning(f"{error}\n{_state(left, folder)}"), stacklevel=2)
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(left, timeout=5)
    return start()


def _state(processes: Iterable[psutil.Process], folder: Path) -> str:
    """What a node's processes do, and the ends of their logs."""
    said = []
    for process in processes:
        with suppress(psutil.NoSuchProcess, OSError):  # It, or one of its threads, has just ended.
            threads = (Path("/proc") / str(process.pid) / "task").glob("*/wchan")
            waiting = sorted(thread.read_text() for thread in threads)
            said.append(f"{process} {process.cpu_times()}, its threads in: {', '.join(waiting)}")
    for log in sorted(folder.glob("session_2*/logs/*.*")):
        if log.suffix in {".out", ".err", ".log"}:
            said.append(f"{log.name}:\n{log.read_text(errors='replace')[-LOG_END:]}")
    return "\n".join(said)


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Starts the command and does not wait for it."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(*arguments: str | Path, timeout_s: float = 300) -> str:
    """Runs the command to its end, which must be a good one; what it printed."""
    process = start(*arguments)
    printed, _ = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, printed
    return printed


def rows(folder: Path) -> list[dict[str, Any]]:
    """All rows that are in a folder of Parquet files at this moment."""
    found = []
    for path in sorted(folder.glob("part-*.parquet")):
        found += pq.read_table(path).to_pylist()
    return found


def videos(found: Sequence[dict[str, Any]]) -> list[str]:
    """The rows' videos, sorted, so that one that is double shows."""
    return sorted(row["video"] for row in found)


def worker_processes(of: subprocess.Popen[str]) -> list[psutil.Process]:
    """Ray's processes that classify clips for this run of the command, not for a killed one."""
    begun = psutil.Process(of.pid).create_time() if of.poll() is None else math.inf
    found = psutil.process_iter(["cmdline", "create_time"])
    workers = (p for p in found if "MapWorker" in " ".join(p.info["cmdline"] or []))
    return [p for p in workers if p.info["create_time"] > begun]


@dataclass
class Killing:
    """Runs the command to its end, again after its death, and kills what it is told to.

    Attributes:
        arguments: of the command, without --out.
        out: where it writes.
        kill_server: kills one.
        pause_s: shortest and longest wait before each kill, after work has begun.
        memory_mb: what is resident, once a second: (the driver, its workers together).
    """

    arguments: Sequence[str | Path]
    out: Path
    kill_server: Callable[[], None]
    pause_s: tuple[float, float] = (0, 0)
    memory_mb: list[list[tuple[float, float]]] = field(default_factory=list)

    def run(self, *kills: str) -> str:
        """What the last run printed; `kills` are of "driver", "worker" and "server"."""
        driver = self._start()
        for kill in kills:
            until = time.monotonic() + random.uniform(*self.pause_s)
            self._watch(driver, partial(self._works, driver, until))
            assert driver.poll() is None, f"it ended before {kill} was killed"
            if kill == "driver":
                driver.kill()
                driver.communicate()
                driver = self._start()
            elif kill == "worker":
                random.choice(worker_processes(driver)).kill()
            else:
                self.kill_server()
        self._watch(driver, lambda: False)
        said, _ = driver.communicate()
        assert driver.returncode == 0, said
        return said

    def _start(self) -> subprocess.Popen[str]:
        self.memory_mb.append([])
        return start(*self.arguments, "--out", self.out)

    def _works(self, driver: subprocess.Popen[str], from_s: float) -> bool:
        return bool(time.monotonic() > from_s and rows(self.out) and worker_processes(driver))

    def _watch(self, driver: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
        """Until the condition holds or the command has ended."""
        deadline = time.monotonic() + LONGEST_S
        while driver.poll() is None and not condition():
            assert time.monotonic() < deadline, "it hangs"
            with suppress(psutil.NoSuchProcess):
                own = psutil.Process(driver.pid).memory_info().rss
                workers = sum(p.memory_info().rss for p in worker_processes(driver))
                self.memory_mb[-1].append((own / 1e6, workers / 1e6))
            time.sleep(0.2 if self.pause_s == (0, 0) else 1)


class Crashing(ClipWorker):
    """Ends its process, as a crash in a decoder would, on a clip of this name."""

    NAME = "crash.mp4"

    def _classify(self, source: str) -> dict[str, Any]:
        if source.endswith(self.NAME):
            os.kill(os.getpid(), signal.SIGKILL)
        return error_row(VideoError(source))
