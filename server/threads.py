"""How many threads each network has, and how many instances each slot: decided here alone.

One thread per network, as every config.pbtxt says, since several networks run at once and their
pools would compete (docs/performance.md). More processors are used by more instances: a slot has
as many as its share of a clip's processor time can keep busy, and a quarter more.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path

from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from server.errors import UsageError
from server.slots.slot import THREADS_PARAMETER

CGROUP = Path("/sys/fs/cgroup")
NVIDIA_DEVICES = "nvidia[0-9]*"

PROCESSOR_SHARES = {
    "speech_recognizer": 0.43,
    "text_detector": 0.26,
    "text_recognizer": 0.09,
    "face_detector": 0.08,
    "image_encoder": 0.06,
}
"""Slot -> its share of a clip's processor time, of those with the largest (docs/performance.md)."""
HEADROOM = 1.25
"""More instances than the shares ask for: one that is always busy is one that clips queue for."""


def processors() -> int:
    """How many processors this process may use: its affinity, within the cgroup's limit."""
    available = len(os.sched_getaffinity(0))
    quota = cgroup_quota()
    return available if quota is None else max(1, min(available, math.ceil(quota)))


def cgroup_quota(root: Path = CGROUP) -> float | None:
    """Processors that the control group allows, or None without a limit.

    Source: the kernel's documentation, cgroup-v2 (cpu.max) and cgroup-v1 (cpu.cfs_quota_us).
    """
    try:
        if (root / "cpu.max").is_file():
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota, period = (
                (root / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")
            )
        return float(quota) / float(period) if float(quota) > 0 else None
    except (OSError, ValueError):  # no file; "max"
        return None


def plan(
    configs: Mapping[str, ModelConfig],
    threads: int | None = None,
    instances: Mapping[str, int] | None = None,
) -> dict[str, ModelConfig]:
    """The configurations with the threads and instances for this machine.

    Instances on a GPU stay as they are configured.

    Args:
        configs: by slot.
        threads: of each network; None for those of its configuration.
        instances: slot -> how many, in place of what is computed here.

    Raises:
        UsageError: `instances` names a slot that is not served.
    """
    chosen = instances or {}
    if unknown := sorted(chosen.keys() - configs.keys()):
        raise UsageError(f"--instances: no slot {', '.join(unknown)} is served")
    available = processors()
    has_gpu = any(Path("/dev").glob(NVIDIA_DEVICES))
    planned = {}
    for slot, config in configs.items():
        planned[slot] = ModelConfig()
        planned[slot].CopyFrom(config)
        if threads is not None and THREADS_PARAMETER in config.parameters:
            planned[slot].parameters[THREADS_PARAMETER].string_value = str(threads)
        count = chosen.get(slot) or math.ceil(HEADROOM * PROCESSOR_SHARES.get(slot, 0) * available)
        for group in planned[slot].instance_group:
            if slot in chosen or not _on_gpu(group, has_gpu):
                group.count = max(group.count, count) if slot not in chosen else count
    return planned


def _on_gpu(group: ModelInstanceGroup, has_gpu: bool) -> bool:
    if group.kind == ModelInstanceGroup.KIND_AUTO:
        return has_gpu
    return bool(group.kind != ModelInstanceGroup.KIND_CPU)
