"""What the served clips are compared with: the same steps and weights without a server.

*sequential*: eager PyTorch in one process on all processors, one clip after the other, as
VEMOCLAP's authors run it; what has no PyTorch form (OCR, Whisper's decoder) runs by its own
library.
*direct*: ONNX Runtime and CTranslate2 in as many processes as there are processors, with one thread
each.
"""

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from server.slots.slot import Device
from server.threads import processors
from tests.benchmark.clips import Clip
from tests.benchmark.figures import CLIENT, DIRECT, SEQUENTIAL, Limit, Measurement
from tests.benchmark.processes import MEGABYTE, peak_bytes
from vemoclap_client.contract import EMOTIONS, PROBABILITIES

if TYPE_CHECKING:
    from tests.benchmark.in_process import InProcess

START_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Rival:
    """How the clips are computed: `kind` is SEQUENTIAL or DIRECT."""

    kind: str
    repository: Path
    device: Device

    @property
    def workers(self) -> int:
        """Processes."""
        return 1 if self.kind == SEQUENTIAL else processors()

    def load(self) -> "InProcess":
        """The steps, in this process."""
        # Not above: the process that sends requests, whose memory is measured, needs none of it.
        from tests.benchmark.in_process import InProcess
        from tests.benchmark.networks import EagerNetworks, OnnxNetworks

        networks = (OnnxNetworks if self.kind == DIRECT else EagerNetworks)(
            self.repository, self.device
        )
        return InProcess(self.repository, networks, self.device)


def sequential(repository: Path, device: str = "cpu") -> Rival:
    """Eager PyTorch, as an author's program would run it: on all processors."""
    return Rival(SEQUENTIAL, repository, Device(device, threads=processors()))


def direct(repository: Path) -> Rival:
    """ONNX Runtime, one thread in each process."""
    return Rival(DIRECT, repository, Device("cpu", threads=1))


@dataclass(frozen=True)
class Done:
    """A clip that a worker has computed."""

    worker: int
    clip: str
    emotion: str
    latency_s: float
    processor_s: dict[str, float]
    peak_bytes: int


class _Worker:
    """What a worker process holds."""

    steps: "InProcess"
    clips: Sequence[Clip]
    barrier: Barrier


@dataclass(frozen=True)
class RunningRival:
    """A rival whose processes are loaded and warm."""

    rival: Rival
    clips: Sequence[Clip]
    pool: ProcessPoolExecutor

    def measure(self, count: int) -> Measurement:
        """Computes `count` clips, one after the other of `clips`, in each process one at a time."""
        started = time.perf_counter()
        order = islice(cycle(range(len(self.clips))), count)
        done = _all([self.pool.submit(_classify, index) for index in order])
        seconds = time.perf_counter() - started
        used: Counter[str] = Counter()
        for one in done:
            used.update(one.processor_s)
        peaks = {one.worker: one.peak_bytes for one in done}
        return Measurement(
            subject=self.rival.kind,
            in_flight=self.rival.workers,
            seconds=seconds,
            latencies_s=tuple(one.latency_s for one in done),
            processor_s=dict(used),
            memory_mb={"server, peak": sum(peaks.values()) / MEGABYTE},
            emotions={one.clip: one.emotion for one in done},
        )


@contextmanager
def running(rival: Rival, clips: Sequence[Clip]) -> Iterator[RunningRival]:
    """Starts a rival's processes, which compute each clip once to warm up."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(rival.workers)
    started_with = (rival, tuple(clips), barrier)
    pool = ProcessPoolExecutor(rival.workers, context, _start, started_with)
    try:
        _all([pool.submit(_warm_up) for _ in range(rival.workers)])
        yield RunningRival(rival, clips, pool)
    finally:
        pool.shutdown(cancel_futures=True)


def measure_best(repository: Path, clips: Sequence[Clip], device: str) -> Limit:
    """The limit, measured in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_measure_limit, repository, tuple(clips), Device(device)).result()


def _measure_limit(repository: Path, clips: Sequence[Clip], device: Device) -> Limit:
    from tests.benchmark.limit import measure_limit

    return measure_limit(repository, clips, device)


def _all(futures: Sequence[Future[Any]]) -> list[Any]:
    return [future.result() for future in futures]


def _start(rival: Rival, clips: Sequence[Clip], barrier: Barrier) -> None:
    # Ctrl-C reaches all processes of a terminal: this one ends with its pool.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Worker.steps, _Worker.clips, _Worker.barrier = rival.load(), clips, barrier


def _warm_up() -> None:
    """Only returns when every worker is warm, so that each takes one of these calls."""
    for index in range(len(_Worker.clips)):
        _classify(index)
    _Worker.barrier.wait(START_TIMEOUT_S)


def _classify(index: int) -> Done:
    clip, steps = _Worker.clips[index], _Worker.steps
    steps.processor_s.clear()
    started, used_s = time.perf_counter(), time.process_time()
    outputs = steps.classify(clip.frames, clip.audio)
    latency_s, used_s = time.perf_counter() - started, time.process_time() - used_s
    in_slots = dict(steps.processor_s)
    return Done(
        worker=os.getpid(),
        clip=clip.path.name,
        emotion=EMOTIONS[np.argmax(outputs[PROBABILITIES][0])],
        latency_s=latency_s,
        processor_s={**in_slots, CLIENT: used_s - sum(in_slots.values())},
        peak_bytes=peak_bytes(os.getpid()),
    )
