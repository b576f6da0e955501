"""How much the server holds at once, chosen for this machine: here alone (docs/serving.md)."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import psutil
from tritonclient.grpc.model_config_pb2 import ModelConfig

from server.resources import shared_memory_size
from server.slots.admission import ENSEMBLE_PARAMETER, FILE_PARAMETER, Limits
from server.threads import CGROUP, processors

CLIPS_PER_PROCESSOR = 8
"""More do not make the server faster: two cores are busy with two clips. So many wait in the steps,
and form batches there."""
WAITING_PER_PROCESSOR = 32
"""More that wait to be admitted. With four seconds of a processor for a clip, which is what
docs/performance.md has, the last of them is answered after two and a half minutes; a client waits
for ten."""
MEMORY_PER_BYTE = 6
"""Bytes of shared memory, and as many of other memory, that the server needs for each byte of a
clip's frames and sound while it is at work."""
MEMORY_PER_BYTE_WAITING = 1
"""Likewise, while the clip waits: as it was received."""
MEMORY_OF_IDLE_SERVER = 64 * 2**20


def choose(
    clips: int | None = None,
    megabytes: int | None = None,
    clips_waiting: int | None = None,
    megabytes_waiting: int | None = None,
) -> Limits:
    """The limits for this machine.

    Args:
        clips: at once, in place of what is chosen here.
        megabytes: of 10^6 bytes, likewise.
        clips_waiting: likewise; 0: none.
        megabytes_waiting: likewise.
    """
    memory = min(shared_memory_size(), memory_size() // 2)
    # As many bytes may wait as be at work, so that an empty queue has room for any request.
    chosen = (memory - MEMORY_OF_IDLE_SERVER) // (MEMORY_PER_BYTE + MEMORY_PER_BYTE_WAITING)
    return Limits(
        clips_at_once=clips or CLIPS_PER_PROCESSOR * processors(),
        bytes_at_once=_bytes(megabytes, chosen),
        clips_waiting=(
            WAITING_PER_PROCESSOR * processors() if clips_waiting is None else clips_waiting
        ),
        bytes_waiting=_bytes(megabytes_waiting, chosen),
    )


def _bytes(megabytes: int | None, chosen: int) -> int:
    return chosen if megabytes is None else megabytes * 1_000_000


def memory_size(root: Path = CGROUP) -> int:
    """Bytes of the machine, within what the control group allows.

    Source: the kernel's documentation, cgroup-v2 (memory.max) and cgroup-v1.
    """
    size = psutil.virtual_memory().total
    for path in (root / "memory.max", root / "memory" / "memory.limit_in_bytes"):
        try:
            return min(size, int(path.read_text()))
        except (OSError, ValueError):  # no file; "max"
            continue
    return int(size)


def is_entry(config: ModelConfig) -> bool:
    """Whether clients call the model, which admits requests for an ensemble."""
    return ENSEMBLE_PARAMETER in config.parameters


def limited(
    configs: Mapping[str, ModelConfig], limits: Limits, file: Path
) -> dict[str, ModelConfig]:
    """The configurations, with what the entries need to count together.

    Args:
        configs: by slot.
        limits: of all entries together.
        file: in which they count.
    """
    limited = {}
    for name, config in configs.items():
        limited[name] = ModelConfig()
        limited[name].CopyFrom(config)
        if is_entry(config):
            for parameter, value in (asdict(limits) | {FILE_PARAMETER: file}).items():
                limited[name].parameters[parameter].string_value = str(value)
    return limited
