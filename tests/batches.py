"""What the tests of `vemoclap batch` share: clips, a cluster, the command, its rows."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

from tests.clips import solid_frame, write_clip
from tests.launching import PROJECT
from vemoclap_client.batch.rows import error_row
from vemoclap_client.batch.worker import ClipWorker
from vemoclap_client.errors import VideoError

COMMAND = (sys.executable, "-m", "vemoclap_client.cli.main", "batch")
STORE_BYTES = 100_000_000
"""Of a node's object store."""

ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join(map(str, (PROJECT, PROJECT / "client"))),
    "OMP_NUM_THREADS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray would kill workers because other programs fill the machine's memory.
    "RAY_memory_monitor_refresh_ms": "0",
}
"""Of the command and of the cluster's nodes."""


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
def cluster_of_two_nodes(folder: Path) -> Iterator[Any]:
    """A Ray cluster on this machine, two nodes of one processor each."""
    os.environ |= {**ENVIRONMENT, "RAY_AUTH_MODE": "disabled"}
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "temp_dir": str(folder)})
    try:
        cluster.add_node(**node)
        yield cluster
    finally:
        cluster.shutdown()


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


def worker_processes() -> list[psutil.Process]:
    """Ray's processes that classify clips now."""
    named = (p for p in psutil.process_iter(["cmdline"]))
    return [p for p in named if "MapWorker" in " ".join(p.info["cmdline"] or [])]


def wait_for(condition: Any, process: subprocess.Popen[str], timeout_s: float = 300) -> bool:
    """Polls until `condition()` holds (True), or until the command has ended (False)."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return True


class Crashing(ClipWorker):
    """Ends its process, as a crash in a decoder would, on a clip of this name."""

    NAME = "crash.mp4"

    def _classify(self, source: str) -> dict[str, Any]:
        if source.endswith(self.NAME):
            os.kill(os.getpid(), signal.SIGKILL)
        return error_row(VideoError(source))
