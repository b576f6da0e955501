"""`make check-gpu`: the paper's encoders, random weights, float16 TorchScript, served on a GPU.

Prints their parity with eager float32 and the clips per second at 1, 8 and 32 clips in flight,
against the same encoders run eagerly, one clip at a time. Needs no network. `--device cpu`
rehearses it on the processor, in float32: what that prints says nothing about a GPU.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import numpy as np
import torch
import tritonclient.grpc as triton
import tritonclient.utils.shared_memory as shared_memory
from numpy.typing import NDArray
from tritonclient.grpc import aio
from tritonclient.utils import np_to_triton_dtype

from export.building import write_network
from export.graph import arguments
from export.options import Format, Options, Precision, Random
from export.parity import BATCHES, largest_difference
from export.placing import refresh_configurations
from export.registry import PROFILES
from export.spec import FP16_TOLERANCE, FP32_TOLERANCE, Arrays, Network
from tests.launching import launched

NO_GPU = 50
PARITY_MISS = 51
ITEMS_PER_CLIP = {"image_encoder": 1, "audio_encoder": 16, "face_expression": 16, "text_encoder": 2}
"""Slot -> what one clip sends: 16 frames in one item, 16 windows, a face a frame, two texts."""
CLIPS_IN_FLIGHT = (1, 8, 32)
SEED = 0


@dataclass(frozen=True)
class Encoder:
    """One slot's network, eager in float32, and what a clip sends to it."""

    slot: str
    network: Network
    eager: torch.nn.Module
    clip: Arrays


def main(given: Sequence[str] | None = None) -> int:
    """Runs the check; returns 0, 50 without a GPU, or 51 where the answers differ too much."""
    options = parse(given)
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            f"check-gpu: there is no GPU here: torch {torch.__version__} finds no CUDA device. "
            "Nothing was checked. (--device cpu rehearses the check on the processor.)",
            file=sys.stderr,
        )
        return NO_GPU
    precision = Precision.FP16 if options.device == "cuda" else Precision.FP32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    say(
        f"check-gpu: {describe(options.device)}, torch {torch.__version__}, {precision} TorchScript"
    )
    say(
        f"{datetime.now(UTC):%Y-%m-%d}, python -m tests.check_gpu {' '.join(given or sys.argv[1:])}"
    )
    encoders = [build(slot) for slot in options.slots]
    with TemporaryDirectory(prefix="vemoclap-check-") as folder:
        repository = Path(folder) / "models"
        for encoder in encoders:
            export(encoder, precision, repository)
        variant = "torchscript-gpu" if options.device == "cuda" else "torchscript"
        with launched(
            Path(folder), ["--model-repository", repository, "--variant", variant]
        ) as server:
            is_equal = check_parity(server.url, encoders, options.device, precision)
            check_throughput(server.url, encoders, options)
    return 0 if is_equal else PARITY_MISS


def parse(given: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m tests.check_gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--slots", nargs="+", choices=ITEMS_PER_CLIP, default=list(ITEMS_PER_CLIP))
    parser.add_argument("--clips", nargs="+", type=int, default=list(CLIPS_IN_FLIGHT))
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    return parser.parse_args(given)


def describe(device: str) -> str:
    """The card, or that there is none."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"REHEARSAL ON THE PROCESSOR ({torch.get_num_threads()} threads)"


def build(slot: str) -> Encoder:
    """A slot's network with seeded random weights."""
    network, random = PROFILES["paper"][slot].network, PROFILES["paper"][slot].random
    assert network is not None
    assert random is not None
    assert random.network is not None
    return Encoder(slot, network, random.network(SEED), network.examples(ITEMS_PER_CLIP[slot], 0))


def export(encoder: Encoder, precision: Precision, repository: Path) -> None:
    """Writes the network and its configurations; the parity is checked on the server."""
    started = time.perf_counter()
    folder = repository / encoder.slot
    (folder / "1").mkdir(parents=True)
    refresh_configurations(encoder.slot, repository)
    options = Options("paper", Format.TORCHSCRIPT, precision, Random(SEED))
    path = folder / "1" / Format.TORCHSCRIPT.filename
    write_network(encoder.slot, encoder.network, encoder.eager, options, path)
    say(f"exported {encoder.slot} in {time.perf_counter() - started:.1f} s")


def check_parity(url: str, encoders: list[Encoder], device: str, precision: Precision) -> bool:
    """Prints each output's largest difference; returns whether all are within the tolerance."""
    tolerance = FP16_TOLERANCE if precision is Precision.FP16 else FP32_TOLERANCE
    say(f"\n| slot | output | largest difference to eager fp32 (at most {tolerance:.0e}) |")
    say("| --- | --- | ---: |")
    worst = 0.0
    with triton.InferenceServerClient(url) as connection:
        for encoder in encoders:
            for name, difference in differences(connection, encoder, device).items():
                say(f"| {encoder.slot} | {name} | {difference:.1e} |")
                worst = max(worst, difference)
    return worst <= tolerance


def differences(
    connection: triton.InferenceServerClient, encoder: Encoder, device: str
) -> dict[str, float]:
    """Output -> largest difference over batches 1 and 3 of every case."""
    network, found = encoder.network, dict[str, float]()
    for case in range(network.cases):
        for batch in BATCHES:
            inputs = network.examples(batch, case)
            expected = run_eager(network, encoder.eager, inputs, device, torch.float32)
            answer = connection.infer(encoder.slot, [as_input(*item) for item in inputs.items()])
            for tensor, reference in zip(network.outputs, expected, strict=True):
                difference = largest_difference(answer.as_numpy(tensor.name), reference)
                found[tensor.name] = max(difference, found.get(tensor.name, 0.0))
    return found


def as_input(name: str, array: NDArray[Any]) -> triton.InferInput:
    """A tensor that travels in the request."""
    tensor = triton.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array)
    return tensor


def run_eager(
    network: Network, eager: torch.nn.Module, inputs: Arrays, device: str, dtype: torch.dtype
) -> list[NDArray[Any]]:
    """The eager answers, from the host's memory and back to it."""
    module = eager.to(device)
    with torch.inference_mode(), torch.autocast(device, dtype, enabled=dtype != torch.float32):
        outputs = module(*(tensor.to(device) for tensor in arguments(network, inputs)))
    return [output.float().cpu().numpy() for output in outputs]


def check_throughput(url: str, encoders: list[Encoder], options: argparse.Namespace) -> None:
    """Prints the clips per second, eager and served."""
    say(f"\n| encoders {', '.join(e.slot for e in encoders)} | clips/s |")
    say("| --- | ---: |")
    kinds = {"eager fp32": torch.float32}
    if options.device == "cuda":
        kinds["eager fp16 (autocast)"] = torch.float16
    for name, dtype in kinds.items():
        rate = eager_rate(encoders, options.device, dtype, options.seconds)
        say(f"| {name}, one encoder after another, one clip at a time | {rate:.1f} |")
    for encoder in encoders:
        encoder.eager.to("cpu")
    with clip_in_shared_memory(url, encoders) as requests:
        for clips in options.clips:
            rate = asyncio.run(served_rate(url, requests, clips, options.seconds))
            say(f"| served, {clips} clips in flight | {rate:.1f} |")


def eager_rate(encoders: list[Encoder], device: str, dtype: torch.dtype, seconds: float) -> float:
    """Clips per second, after one to warm up."""

    def one_clip() -> None:
        for encoder in encoders:
            run_eager(encoder.network, encoder.eager, encoder.clip, device, dtype)

    one_clip()
    return rate_of(one_clip, seconds)


def rate_of(one_clip: Callable[[], None], seconds: float) -> float:
    """How often per second something runs."""
    started, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        one_clip()
        count += 1
    return count / elapsed


Request = tuple[str, list[triton.InferInput]]


@contextmanager
def clip_in_shared_memory(url: str, encoders: list[Encoder]) -> Iterator[list[Request]]:
    """Each slot's inputs of one clip, in shared memory, as the ensemble's own steps pass them."""
    regions: list[tuple[str, Any]] = []
    with triton.InferenceServerClient(url) as connection:
        try:
            yield [
                (
                    encoder.slot,
                    [share(connection, regions, *item) for item in encoder.clip.items()],
                )
                for encoder in encoders
            ]
        finally:
            connection.unregister_system_shared_memory()
            for _, region in regions:
                shared_memory.destroy_shared_memory_region(region)


def share(
    connection: triton.InferenceServerClient,
    regions: list[tuple[str, Any]],
    name: str,
    array: NDArray[Any],
) -> triton.InferInput:
    """A tensor that lies in a shared memory region of its own."""
    key = f"vemoclap_check_{uuid4().hex}"
    region = shared_memory.create_shared_memory_region(key, f"/{key}", array.nbytes)
    regions.append((key, region))
    shared_memory.set_shared_memory_region(region, [np.ascontiguousarray(array)])
    connection.register_system_shared_memory(key, f"/{key}", array.nbytes)
    tensor = triton.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
    tensor.set_shared_memory(key, array.nbytes)
    return tensor


async def served_rate(url: str, requests: list[Request], clips: int, seconds: float) -> float:
    """Clips per second with this many in flight, after each has run once to warm up."""
    async with aio.InferenceServerClient(url) as connection:

        async def one_clip() -> None:
            await asyncio.gather(*(connection.infer(slot, inputs) for slot, inputs in requests))

        async def stream(until: float) -> int:
            count = 0
            while time.perf_counter() < until:
                await one_clip()
                count += 1
            return count

        await asyncio.gather(*(one_clip() for _ in range(clips)))
        started = time.perf_counter()
        counts = await asyncio.gather(*(stream(started + seconds) for _ in range(clips)))
        return sum(counts) / (time.perf_counter() - started)


def say(line: str) -> None:
    """Prints at once: a line may be the last for a while."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
