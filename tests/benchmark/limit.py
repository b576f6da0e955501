"""The least time of a processor, or of the GPU, that a clip's networks need.

Each at its best batch size: on a processor with one thread, on a GPU with the transfers to and fro.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from server.repository import CONFIG, read_config
from server.slots.slot import STAMP, Device, Tensors
from server.threads import processors
from tests.benchmark.clips import Clip
from tests.benchmark.figures import Limit
from tests.benchmark.in_process import PYTHON_SLOT, InProcess
from tests.benchmark.networks import OnnxNetworks

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
"""Rows that are tried."""
SECONDS_AT_MOST = 4.0
"""For a network's batches of one shape: a larger batch than fits is not tried."""
REPETITIONS = 2
"""Of the clips, for the networks that Python slots have of their own: the least counts."""
WEIGHTS = (".onnx", ".bin", ".pt")
"""Files of networks: a Python slot with one has a network of its own."""


def measure_limit(repository: Path, clips: Sequence[Clip], device: Device) -> Limit:
    """Records what a clip sends to each network, and measures that in batches.

    A Python slot's own network (Whisper) counts with all of its slot's time, one clip after the
    other; the other Python code counts nothing.
    """
    calls: defaultdict[str, list[Tensors]] = defaultdict(list)
    networks = OnnxNetworks(repository, device)
    steps = InProcess(repository, networks, device, lambda slot, given: calls[slot].append(given))
    for clip in clips:  # What is loaded or asked for only once is no part of it.
        steps.classify(clip.frames, clip.audio)
    own: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(REPETITIONS):
        calls.clear()
        steps.processor_s.clear()
        for clip in clips:
            steps.classify(clip.frames, clip.audio)
        for slot, seconds in steps.processor_s.items():
            own[slot].append(seconds / len(clips))
    used = {slot: min(found) for slot, found in own.items() if has_own_network(repository / slot)}
    batches = dict.fromkeys(used, 0)
    for slot, recorded in calls.items():
        seconds, batches[slot] = best_of(networks, repository, slot, recorded, device)
        used[slot] = seconds / len(clips)
    return Limit(used, batches, processors() if device.kind == "cpu" else 1)


def has_own_network(folder: Path) -> bool:
    """Whether a slot is Python code with a network of its own beside it."""
    if not (folder / PYTHON_SLOT).is_file() or not (folder / STAMP).is_file():
        return False
    exported = json.loads((folder / STAMP).read_text(encoding="utf-8"))["sizes"]
    return any(path.endswith(WEIGHTS) for path in exported)


def best_of(
    networks: OnnxNetworks, repository: Path, slot: str, calls: Sequence[Tensors], device: Device
) -> tuple[float, int]:
    """Seconds for these calls' rows in their best batches, and the commonest's rows."""
    config = read_config(repository / slot / CONFIG)
    outputs = [output.name for output in config.output]
    total_s, best_rows = 0.0, dict[int, int]()
    for rows in by_shape(calls):
        count = len(next(iter(rows.values())))
        tried = [size for size in BATCHES if size <= max(config.max_batch_size, 1)]
        # A call returns when the GPU has computed: no other program's work is on it.
        clock = time.process_time if device.kind == "cpu" else time.perf_counter
        per_row_s, size = best_batch(networks, slot, rows, outputs, tried, clock)
        total_s += per_row_s * count
        best_rows[size] = best_rows.get(size, 0) + count
    return total_s, max(best_rows, key=lambda size: best_rows[size])


def by_shape(calls: Sequence[Tensors]) -> list[Tensors]:
    """The calls' rows, those of equal shape in one batch."""
    groups: defaultdict[tuple[tuple[int, ...], ...], list[Tensors]] = defaultdict(list)
    for call in calls:
        groups[tuple(array.shape[1:] for array in call.values())].append(call)
    return [
        {name: np.concatenate([call[name] for call in group]) for name in group[0]}
        for group in groups.values()
    ]


def best_batch(
    networks: OnnxNetworks,
    slot: str,
    rows: Tensors,
    outputs: Sequence[str],
    sizes: Sequence[int],
    clock: Callable[[], float],
) -> tuple[float, int]:
    """The least seconds per row, and the batch that took them."""
    available = len(next(iter(rows.values())))
    best, left_s = (float("inf"), 1), SECONDS_AT_MOST
    for size in sizes:
        if size > 1 and size * best[0] * 2 > left_s:
            break
        taken = np.resize(np.arange(available), size)
        batch = {name: array[taken] for name, array in rows.items()}
        for _ in range(2):  # The first of a size prepares its memory.
            started = clock()
            networks.run(slot, batch, outputs)
            used_s = clock() - started
            left_s -= used_s
            best = min(best, (used_s / size, size))
    return best
