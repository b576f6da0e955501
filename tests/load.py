"""Many clients at once, with clips of mixed sizes whose answers are known."""

import ctypes
import gc
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import psutil
import tritonclient.grpc as triton
from numpy.typing import NDArray

from server.memory import MMAP_THRESHOLD
from tests.benchmark.processes import allocated_mb, server_processes
from tests.launching import Launched
from vemoclap_client.channels import connection
from vemoclap_client.contract import (
    AUDIO,
    CONTRIBUTIONS,
    ENTRY,
    FEATURES,
    FRAME_COUNT,
    FRAMES,
    LENGTHS,
    PROBABILITIES,
    SAMPLE_RATE_HZ,
)
from vemoclap_client.errors import VemoclapError
from vemoclap_client.requests import build_inference
from vemoclap_client.sending import send

REFUSED = "vemoclap_refused_requests"
WAITING = "vemoclap_waiting_requests"
OUTPUTS = (PROBABILITIES, CONTRIBUTIONS, LENGTHS, *FEATURES.values())
TIMEOUT_S = 600.0
C_LIBRARY = ctypes.CDLL(None)
ARENA_MAX = -8
"""Of malloc.h."""
FREED_AT_ONCE_BYTES = 2**14
"""gRPC's blocks of 16 KB and more: freed ones stay between what the 64 connections have in use, at
other places each time, and say nothing about a leak (docs/performance.md)."""
Answer = Mapping[str, NDArray[Any]]

SIZES = ((90, 160), (160, 90), (120, 160), (64, 64), (180, 320), (36, 500), (270, 480), (360, 640))
SOUNDS_S = (0.0, 1.0, 3.0, 7.5)


@dataclass(frozen=True)
class Load:
    """How much is sent, and what is asked of the outcome. The defaults are the long form.

    Attributes:
        clients: each sends its next clip when it has an answer.
        warm_up_s: seconds before memory is measured for the first time.
        rounds: after that; memory is measured again after each.
        round_s: seconds of one.
        at_least: answers.
        tolerance: largest difference of a value from that of the clip alone, whose largest values
            are about 1. Networks compute a batch in another order than one row, which changes the
            last digits of float32, and the encoders' layers add up.
        growth: of the memory of server and client, as a share.
    """

    clients: int = 64
    warm_up_s: float = 120.0
    rounds: int = 6
    round_s: float = 100.0
    at_least: int = 2000
    tolerance: float = 1e-3
    growth: float = 0.05


SHORT = Load(clients=12, warm_up_s=1.0, rounds=1, round_s=3.0, at_least=12, growth=0.5)


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        answered: requests, after the warm-up.
        refused: as busy, before they were answered.
        errors: type of error -> how often, in place of an answer.
        latencies_s: from the first attempt to the answer.
        largest_difference: of any value from that of the clip alone.
        memory_mb: "server" and "client" -> after the warm-up and after each round, when nothing was
            at work.
    """

    answered: int
    refused: int
    errors: dict[str, int]
    latencies_s: list[float]
    largest_difference: float
    memory_mb: dict[str, list[float]]

    def __str__(self) -> str:
        p50, p99 = np.percentile(self.latencies_s, [50, 99])
        memory = [
            f"{who} {', '.join(f'{size_mb:.0f}' for size_mb in series)} MB"
            for who, series in self.memory_mb.items()
        ]
        return (
            f"{self.answered} answered, {self.refused} refused, errors {self.errors}, "
            f"p50 {p50:.2f} s, p99 {p99:.2f} s, longest {max(self.latencies_s):.2f} s, "
            f"largest difference {self.largest_difference:.2g}; {'; '.join(memory)}"
        )


def clips() -> list[dict[str, NDArray[Any]]]:
    """Clips that are cheap: still pictures without faces or text, and tones."""
    random = np.random.default_rng(0)
    found = []
    for (height, width), number in zip(SIZES, count()):
        coarse = random.integers(0, 256, (4, 4, 3))
        picture = coarse.repeat(-(-height // 4), 0).repeat(-(-width // 4), 1)[:height, :width]
        times = np.arange(int(SOUNDS_S[number % len(SOUNDS_S)] * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        tone = 0.3 * np.sin(2 * np.pi * 220 * (number + 1) * times)
        frames = np.repeat(picture[None].astype(np.uint8), FRAME_COUNT, 0)
        found.append({FRAMES: frames[None], AUDIO: tone[None].astype(np.float32)})
    return found


def expected_answers(server: Launched) -> list[Answer]:
    """The answer to each clip when it is alone."""
    with triton.InferenceServerClient(**connection(server.url)) as client:
        return [ask(client, server.url, clip) for clip in clips()]


def ask(client: Any, url: str, clip: Mapping[str, NDArray[Any]]) -> Answer:
    response = send(client, build_inference(ENTRY, clip, OUTPUTS), url, TIMEOUT_S)
    return {name: response.as_numpy(name) for name in OUTPUTS}


def difference(answer: Answer, alone: Answer) -> float:
    """The largest of any value; infinite if the shapes differ."""
    largest = 0.0
    for name in OUTPUTS:
        if answer[name].shape != alone[name].shape:
            return float("inf")
        if answer[name].size:
            distance = np.abs(answer[name].astype(np.float64) - alone[name])
            largest = max(largest, float(np.max(distance)))
    return largest


def run_load(server: Launched, load: Load, alone: list[Answer]) -> Outcome:
    """Runs the clients for the warm-up and each round, and measures memory in between, at rest."""
    C_LIBRARY.mallopt(MMAP_THRESHOLD, FREED_AT_ONCE_BYTES)
    C_LIBRARY.mallopt(ARENA_MAX, 1)
    sent = clips()
    refused = counted(server, REFUSED)
    ended = []
    with connected(server, load.clients) as clients, ThreadPoolExecutor(load.clients) as pool:
        _run(clients, pool, load.warm_up_s, sent, alone)
        memory = [_memory_mb(server)]
        for _ in range(load.rounds):
            ended += _run(clients, pool, load.round_s, sent, alone)
            memory.append(_memory_mb(server))
    answers = [each for each in ended if isinstance(each, tuple)]
    return Outcome(
        answered=len(answers),
        refused=counted(server, REFUSED) - refused,
        errors=dict(Counter(type(each).__name__ for each in ended if isinstance(each, Exception))),
        latencies_s=[latency_s for latency_s, _ in answers],
        largest_difference=max(largest for _, largest in answers),
        memory_mb={who: [each[who] for each in memory] for who in ("server", "client")},
    )


def _memory_mb(server: Launched) -> dict[str, float]:
    """Memory of the server, and of this process without what the C library keeps for later."""
    gc.collect()
    C_LIBRARY.malloc_trim(0)
    return {
        "server": allocated_mb(process for _, process in server_processes(server.triton_pid)),
        "client": allocated_mb([psutil.Process()]),
    }


@dataclass(frozen=True)
class Client:
    """One that is connected to a server."""

    connection: triton.InferenceServerClient
    url: str


@contextmanager
def connected(server: Launched, number: int) -> Iterator[list[Client]]:
    """Clients with a connection each, as if they were on several machines."""
    options = connection(server.url)
    options["channel_args"] = [*options["channel_args"], ("grpc.use_local_subchannel_pool", 1)]
    with ExitStack() as stack:
        yield [
            Client(stack.enter_context(triton.InferenceServerClient(**options)), server.url)
            for _ in range(number)
        ]


def _run(
    clients: Sequence[Client],
    pool: ThreadPoolExecutor,
    seconds: float,
    sent: list[dict[str, NDArray[Any]]],
    alone: list[Answer],
) -> list[tuple[float, float] | VemoclapError]:
    """Latency and difference, or the error, of each request."""
    numbers, taking = count(), threading.Lock()
    end = time.monotonic() + seconds

    def work(client: Client) -> list[tuple[float, float] | VemoclapError]:
        found: list[tuple[float, float] | VemoclapError] = []
        while time.monotonic() < end:
            with taking:
                number = next(numbers) % len(sent)
            started = time.monotonic()
            try:
                answer = ask(client.connection, client.url, sent[number])
            except VemoclapError as error:
                found.append(error)
            else:
                latency_s = time.monotonic() - started
                found.append((latency_s, difference(answer, alone[number])))
        return found

    return [each for found in pool.map(work, clients) for each in found]


def counted(server: Launched, metric: str) -> int:
    """What a metric of the entries says, all of them together."""
    port = server.ready["metrics_port"]
    with urllib.request.urlopen(f"http://{server.ready['host']}:{port}/metrics") as response:
        lines = response.read().decode().splitlines()
    return int(sum(float(line.split()[-1]) for line in lines if line.startswith(metric + "{")))
