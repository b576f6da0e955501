"""Sends clips to a server, so many at a time, and measures what happens meanwhile."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import aio

from tests.benchmark.clips import Clip
from tests.benchmark.figures import Measurement, SlotLoad
from tests.benchmark.processes import difference, memory_mb, processor_s
from tests.launching import input_tensors, wait_until
from vemoclap_client import AsyncEmotionClient
from vemoclap_client.contract import AUDIO, EMOTIONS, ENTRY, FRAMES, PROBABILITIES
from vemoclap_client.requests import RESULT_OUTPUTS

TIMEOUT_S = 600.0
COUNTED_S = 10.0
NANOSECOND = 1e-9


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        subject: its name in the report.
        ensembles: its models that only call others.
        steps: the slots that these call.
    """

    subject: str
    url: str
    triton_pid: int
    ensembles: tuple[str, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """A clip's result, and the seconds that it took."""

    emotion: str
    latency_s: float
    decode_s: float = 0.0


def connect(subject: str, url: str, triton_pid: int) -> Server:
    """The server at `url`, with what its models' configurations say."""
    with triton.InferenceServerClient(url) as connection:
        names = [model.name for model in connection.get_inference_statistics().model_stats]
        configs = {name: connection.get_model_config(name).config for name in names}
    ensembles = [name for name, config in configs.items() if config.platform == "ensemble"]
    steps = {
        step.model_name for name in ensembles for step in configs[name].ensemble_scheduling.step
    }
    return Server(subject, url, triton_pid, tuple(ensembles), tuple(sorted(steps)))


Send = Callable[[Clip], Awaitable[Answer]]


def measure(server: Server, clips: Sequence[Clip], in_flight: int, count: int) -> Measurement:
    """Sends `count` decoded clips, one after the other of `clips`, as raw requests.

    A server of any commit answers them: they are FRAMES and AUDIO alone.
    """
    return asyncio.run(_measure_requests(server, clips, in_flight, count))


def measure_files(server: Server, clips: Sequence[Clip], in_flight: int, count: int) -> Measurement:
    """As measure, but this project's client decodes each file before it sends it."""
    return asyncio.run(_measure_files(server, clips, in_flight, count))


async def _measure_requests(
    server: Server, clips: Sequence[Clip], in_flight: int, count: int
) -> Measurement:
    requests = {clip.path: request_of(clip) for clip in clips}
    async with aio.InferenceServerClient(server.url) as connection:

        async def send(clip: Clip) -> Answer:
            started = time.perf_counter()
            response = await connection.infer(**requests[clip.path], client_timeout=TIMEOUT_S)
            seconds = time.perf_counter() - started
            return Answer(EMOTIONS[np.argmax(response.as_numpy(PROBABILITIES)[0])], seconds)

        return await _measure(server, server.subject, send, clips, in_flight, count)


async def _measure_files(
    server: Server, clips: Sequence[Clip], in_flight: int, count: int
) -> Measurement:
    async with AsyncEmotionClient(server.url, timeout_s=TIMEOUT_S) as client:

        async def send(clip: Clip) -> Answer:
            started = time.perf_counter()
            result = await client.classify(clip.path)
            seconds = time.perf_counter() - started
            return Answer(result.emotion or "", seconds, result.timings_ms["decode"] / 1000)

        return await _measure(server, "files", send, clips, in_flight, count)


def request_of(clip: Clip) -> dict[str, Any]:
    """The keyword arguments of tritonclient's infer for a clip."""
    return {
        "model_name": ENTRY,
        "inputs": input_tensors({FRAMES: clip.frames[None], AUDIO: clip.audio[None]}),
        "outputs": [triton.InferRequestedOutput(name) for name in RESULT_OUTPUTS],
    }


async def _measure(
    server: Server, subject: str, send: Send, clips: Sequence[Clip], in_flight: int, count: int
) -> Measurement:
    slots_before, processor_before = slot_loads(server), processor_s(server.triton_pid)
    started = time.perf_counter()
    answers = await send_all(send, list(islice(cycle(clips), count)), in_flight)
    seconds = time.perf_counter() - started
    processor_after = processor_s(server.triton_pid)
    # Triton counts a request shortly after it has answered.
    wait_until(lambda: has_counted(server, slots_before, count), COUNTED_S)
    slots_after = slot_loads(server)
    slots = {name: _since(slots_before[name], load) for name, load in slots_after.items()}
    ensemble_s = sum(slots.pop(name).compute_s for name in server.ensembles)
    return Measurement(
        subject=subject,
        in_flight=in_flight,
        seconds=seconds,
        latencies_s=tuple(answer.latency_s for _, answer in answers),
        processor_s=difference(processor_after, processor_before),
        slots={name: load for name, load in slots.items() if load.requests},
        decode_s=sum(answer.decode_s for _, answer in answers),
        ensemble_s=ensemble_s,
        memory_mb=memory_mb(server.triton_pid),
        emotions={clip.path.name: answer.emotion for clip, answer in answers},
    )


async def send_all(send: Send, clips: Sequence[Clip], in_flight: int) -> list[tuple[Clip, Answer]]:
    """Sends each clip, the next as soon as one is answered; the answers in order of their end."""
    waiting, answers = iter(clips), []

    async def one_after_the_other() -> None:
        for clip in waiting:
            answers.append((clip, await send(clip)))

    await asyncio.gather(*(one_after_the_other() for _ in range(in_flight)))
    return answers


def slot_loads(server: Server) -> dict[str, SlotLoad]:
    """Triton's statistics so far, by slot; an ensemble computes for the whole of its requests."""
    with triton.InferenceServerClient(server.url) as connection:
        statistics = connection.get_inference_statistics().model_stats
    return {model.name: _slot_load(model, model.name in server.ensembles) for model in statistics}


def has_counted(server: Server, before: Mapping[str, SlotLoad], count: int) -> bool:
    """Whether the ensembles have counted so many requests more; a server may have none of them."""
    loads = slot_loads(server)
    counted = sum(loads[name].requests - before[name].requests for name in server.ensembles)
    return counted >= count or not server.ensembles


def _slot_load(model: Any, is_ensemble: bool) -> SlotLoad:
    counts = model.inference_stats
    computed = (counts.compute_input, counts.compute_infer, counts.compute_output)
    compute_ns = counts.success.ns if is_ensemble else sum(part.ns for part in computed)
    return SlotLoad(
        rows=model.inference_count,
        batches=model.execution_count,
        requests=counts.success.count,
        queue_s=0.0 if is_ensemble else counts.queue.ns * NANOSECOND,
        compute_s=compute_ns * NANOSECOND,
    )


def _since(before: SlotLoad, after: SlotLoad) -> SlotLoad:
    return SlotLoad(
        after.rows - before.rows,
        after.batches - before.batches,
        after.requests - before.requests,
        after.queue_s - before.queue_s,
        after.compute_s - before.compute_s,
    )
