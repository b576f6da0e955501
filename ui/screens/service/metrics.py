"""Reads Triton's Prometheus metrics: what waits, and how loaded the machine is."""

import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

TIMEOUT_S = 2.0
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Without the proxy that the environment may name: the server is on this machine or near it."""

PENDING = "nv_inference_pending_request_count"
FAILURE = "nv_inference_request_failure"
CPU = "nv_cpu_utilization"
MEMORY_USED = "nv_cpu_memory_used_bytes"
MEMORY_TOTAL = "nv_cpu_memory_total_bytes"
SLOT_ERRORS = "vemoclap_slot_errors"
REFUSED = "vemoclap_refused_requests"
WAITING = "vemoclap_waiting_requests"
"""Counted by slots and entries: to Triton an error of theirs is a success, who waits is at work."""
GPU = "nv_gpu_utilization"
GPU_MEMORY_USED = "nv_gpu_memory_used_bytes"
GPU_MEMORY_TOTAL = "nv_gpu_memory_total_bytes"
GPU_POWER = "nv_gpu_power_usage"


class MetricsError(Exception):
    """The metrics cannot be read; the message says why and what to do."""


@dataclass(frozen=True)
class Gpu:
    """A GPU's load: shares are 0 to 1, None where the driver does not tell."""

    name: str
    utilization: float | None
    memory_used_bytes: float | None
    memory_total_bytes: float | None
    power_watts: float | None


@dataclass(frozen=True)
class Metrics:
    """What the metrics say.

    Attributes:
        pending: model -> requests that wait for it to begin, or to be admitted by it.
        failures: model -> reason -> requests that Triton counts as failed since it was loaded; no
            zeros. An ensemble's are counted twice.
        errors: model -> requests that it answered with an error since it was loaded.
        refused: entry -> requests that it refused as busy since it was loaded.
        cpu_utilization: 0 to 1, over all cores of the machine.
    """

    pending: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    cpu_utilization: float | None = None
    memory_used_bytes: float | None = None
    memory_total_bytes: float | None = None
    gpus: tuple[Gpu, ...] = ()


def fetch_metrics(url: str, timeout_s: float = TIMEOUT_S) -> Metrics:
    """Asks a server for its metrics.

    Raises:
        MetricsError: nothing answers there, or what answers is not Triton.
    """
    try:
        with OPENER.open(url, timeout=timeout_s) as response:
            text = response.read().decode("utf-8", "replace")
        return parse_metrics(text)
    except (OSError, HTTPException, ValueError) as error:
        raise MetricsError(
            f"no metrics at {url} ({error}). Name their address with $VEMOCLAP_METRICS_URL; "
            "queue lengths and the machine's load are not known without them."
        ) from error


def parse_metrics(text: str) -> Metrics:
    """The metrics in Prometheus' text format.

    Raises:
        ValueError: it is not that format, or nothing in it is Triton's.
    """
    samples: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            # The parser gives counters the end that newer formats ask for.
            samples.setdefault(sample.name.removesuffix("_total"), []).append(sample)
    if not any(name.startswith("nv_") for name in samples):
        raise ValueError("what answers there is not Triton")
    return Metrics(
        pending=_by_model([*samples.get(PENDING, ()), *samples.get(WAITING, ())]),
        failures=_failures(samples.get(FAILURE, ())),
        errors=_by_model(samples.get(SLOT_ERRORS, ())),
        refused=_by_model(samples.get(REFUSED, ())),
        cpu_utilization=_value(samples.get(CPU, ())),
        memory_used_bytes=_value(samples.get(MEMORY_USED, ())),
        memory_total_bytes=_value(samples.get(MEMORY_TOTAL, ())),
        gpus=_gpus(samples),
    )


def _by_model(samples: Iterable[Sample]) -> dict[str, int]:
    found: dict[str, int] = {}
    for sample in samples:
        model = sample.labels["model"]
        found[model] = found.get(model, 0) + int(sample.value)
    return found


def _failures(samples: Iterable[Sample]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for sample in samples:
        if sample.value:
            reasons = found.setdefault(sample.labels["model"], {})
            reason = sample.labels.get("reason", "OTHER").lower()
            reasons[reason] = reasons.get(reason, 0) + int(sample.value)
    return found


def _value(samples: Iterable[Sample]) -> float | None:
    return next((sample.value for sample in samples), None)


def _gpus(samples: Mapping[str, list[Sample]]) -> tuple[Gpu, ...]:
    names = (GPU, GPU_MEMORY_USED, GPU_MEMORY_TOTAL, GPU_POWER)
    tables = [
        {sample.labels.get("gpu_uuid", ""): sample.value for sample in samples.get(name, ())}
        for name in names
    ]
    identifiers = dict.fromkeys(name for table in tables for name in table)
    return tuple(
        Gpu(f"GPU {number}", *(table.get(identifier) for table in tables))
        for number, identifier in enumerate(identifiers)
    )
