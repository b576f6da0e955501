"""How many threads each network has, and how many instances each slot: decided here alone.

One thread per network, as every config.pbtxt says, since several networks run at once and their
pools would compete (docs/performance.md). More processors are used by more instances: a slot has
as many as its share of a clip's processor time can keep busy.
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
    "speech_encoder": 0.24,
    "text_recognizer": 0.09,
    "face_detector": 0.08,
    "image_encoder": 0.06,
}
"""Slot -> its share of a clip's processor time, of those with the largest (docs/performance.md).
That of speech_recognizer includes speech_encoder's, since it has one clip at once."""
SHARES_BESIDE_A_GPU = {"screen_reader": 0.2, "face_analyzer": 0.2, "frame_preprocessor": 0.2}
"""The same where the networks are on a GPU: of the steps that only cut, scale and join. One process
of each would do some 13 clips a second (0.07 to 0.08 s of processor time a clip)."""


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


def has_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU."""
    return any(Path("/dev").glob(NVIDIA_DEVICES))


def plan(
    configs: Mapping[str, ModelConfig],
    threads: int | None = None,
    instances: Mapping[str, int] | None = None,
    automatic: int = ModelInstanceGroup.KIND_CPU,
) -> dict[str, ModelConfig]:
    """The configurations with the threads and instances for this machine.

    Instances on a GPU stay as they are configured.

    Args:
        configs: by slot.
        threads: of each network; None for those of its configuration.
        instances: slot -> how many, in place of what is computed here.
        automatic: what KIND_AUTO becomes, KIND_CPU or KIND_GPU. Left to Triton it would be a GPU
            wherever there is one, also for backends that cannot use it.

    Raises:
        UsageError: `instances` names a slot that is not served.
    """
    chosen = instances or {}
    if unknown := sorted(chosen.keys() - configs.keys()):
        raise UsageError(f"--instances: no slot {', '.join(unknown)} is served")
    planned = {slot: _placed(config, automatic) for slot, config in configs.items()}
    groups = [group for config in planned.values() for group in config.instance_group]
    shares = SHARES_BESIDE_A_GPU if any(map(_on_gpu, groups)) else PROCESSOR_SHARES
    available = processors()
    for slot, config in planned.items():
        if threads is not None and THREADS_PARAMETER in config.parameters:
            config.parameters[THREADS_PARAMETER].string_value = str(threads)
        computed = math.ceil(shares.get(slot, 0) * available)
        for group in config.instance_group:
            if slot in chosen:
                group.count = chosen[slot]
            elif not _on_gpu(group):
                group.count = max(group.count, computed)
    return planned


def _placed(config: ModelConfig, automatic: int) -> ModelConfig:
    """A copy of the configuration, in which no kind is left to Triton."""
    placed = ModelConfig()
    placed.CopyFrom(config)
    for group in placed.instance_group:
        if group.kind == ModelInstanceGroup.KIND_AUTO:
            group.kind = automatic
    return placed


def _on_gpu(group: ModelInstanceGroup) -> bool:
    return bool(group.kind != ModelInstanceGroup.KIND_CPU)
