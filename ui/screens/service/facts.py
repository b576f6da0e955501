"""What the service page says, as plain values: table, headline numbers, advice."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ui.screens.service.activity import Activity
from ui.screens.service.metrics import Gpu, Metrics
from ui.screens.service.state import Counters, Readiness, ServerState
from vemoclap_client.contract import (
    ENSEMBLE,
    ENTRY,
    FRAME_ENSEMBLE,
    FRAME_MODEL,
    JPEG_ENSEMBLE,
    JPEG_ENTRY,
    STREAM,
    WINDOW_MODEL,
)

ANSWERING = (ENSEMBLE, STREAM, WINDOW_MODEL)
"""The models that answer for a clip or for a window of one. JPEG_ENSEMBLE has ENSEMBLE answer."""

ENTRIES = (ENTRY, STREAM, JPEG_ENTRY, FRAME_MODEL)
"""The models that clients call. Triton counts only the time until they have taken a request."""

CALLED = (*ENTRIES, WINDOW_MODEL)
"""Those whose errors reach clients. A timeline calls audio_encoder and speech_recognizer, too:
their errors do not count here, since those of a clip would count twice."""

ENSEMBLES = (ENSEMBLE, JPEG_ENSEMBLE, FRAME_ENSEMBLE)
"""Triton counts a failure of theirs twice."""

WHOLE = (*ENTRIES, *ENSEMBLES)
"""The models that do no work of their own: all others are their steps."""

BYTES_PER_GB = 1_000_000_000


@dataclass(frozen=True)
class Headline:
    """The service in six numbers; None where a number is not known.

    Attributes:
        clips: requests for a clip, or for a window of one, that were answered. Triton counts a
            streamed one as soon as the model has taken it.
        per_minute: of them.
        mean_s: from a request's admission to its answer, of those to the ensemble: of one that is
            streamed, Triton counts only the time until the model has taken it.
        waiting: requests that wait for a model, or to be admitted, now.
        refused: requests that were answered as busy.
        failures: requests to CALLED that were answered with an error.
    """

    clips: int
    per_minute: float | None
    mean_s: float | None
    waiting: int | None
    refused: int | None
    failures: int | None


def headline(activity: Mapping[str, Activity], metrics: Metrics | None) -> Headline:
    """The numbers of the models that answer and of those that are called, together."""
    whole = answered(activity[name] for name in ANSWERING if name in activity)
    called = [activity[name].work for name in CALLED if name in activity]
    return Headline(
        clips=whole.work.requests,
        per_minute=whole.per_minute,
        mean_s=mean_s(activity.get(ENSEMBLE)),
        waiting=sum(metrics.pending.values()) if metrics else None,
        refused=sum(work.refused for work in called) if metrics else None,
        failures=sum(work.errors for work in called) if metrics else None,
    )


def mean_s(done: Activity | None) -> float | None:
    """Seconds from a request's arrival to its answer, on average."""
    return None if done is None or done.request_ms is None else done.request_ms / 1000


def answered(activities: Iterable[Activity]) -> Activity:
    """What several models did in the same interval, added up, without errors and refusals."""
    parts = list(activities)
    requests = sum(
        # The metrics are read a moment after the statistics.
        max(0, part.work.requests - part.work.errors - part.work.refused)
        for part in parts
    )
    return Activity(parts[0].seconds if parts else None, Counters(requests=requests))


def model_rows(
    state: ServerState, activity: Mapping[str, Activity], metrics: Metrics | None
) -> list[dict[str, Any]]:
    """A row for each model, in the order of a clip's way; None where there is nothing to tell."""
    idle = Activity(None, Counters())
    rows = []
    for model in state.models:
        done = activity.get(model.name, idle)
        is_ready = model.readiness is Readiness.READY
        # Of an ensemble only the whole time means something: it does no work of its own.
        is_step = model.name not in WHOLE
        rows.append(
            {
                "model": model.name,
                "state": model.readiness.value,
                "waiting": metrics.pending.get(model.name) if metrics and is_ready else None,
                "requests": done.work.requests if is_ready else None,
                "failures": done.work.failures + done.work.errors
                if is_ready and model.name not in ENSEMBLES
                else None,
                "batch": done.batch if is_step else None,
                "queue_ms": done.queue_ms if is_step else None,
                "compute_ms": done.compute_ms if is_step else None,
                "request_ms": done.request_ms if model.name not in ENTRIES else None,
                "backend": model.backend or None,
                "version": model.version or None,
                "purpose": model.purpose,
            }
        )
    return rows


def advice(state: ServerState) -> list[str]:
    """What to do, in Markdown, where the server cannot classify; nothing if all is well."""
    if state.trouble is not None:
        return [
            "Start the server with `make serve`, on the machine that it runs on.",
            "If it runs elsewhere, set `$VEMOCLAP_URL` to its host:port and start the app again.",
            "Clips that are added meanwhile wait, or fail with a message and can be added again.",
        ]
    if not state.not_ready:
        return []
    return [
        "Wait a minute if the server has just been started: it may still be loading.",
        "Look at what `make serve` printed: a model that cannot be loaded says why there.",
        f"If weights are missing, `make export` writes those of {_names(state.not_ready)} again.",
        "Then stop the server and start it with `make serve`, so that both are of one version.",
    ]


def status(state: ServerState, url: str) -> str:
    """How the server is, in a sentence."""
    if state.trouble is not None:
        return f"The server does not answer: {state.trouble}"
    server = f"The server at {url} (Triton {state.version})"
    if not state.not_ready:
        return f"{server} is ready to classify clips."
    if state.can_classify:
        return f"{server} can classify clips, but not all is ready: {_names(state.not_ready)}."
    if not state.counters:
        return f"{server} answers, but has no model ready yet."
    return f"{server} cannot classify clips. Not ready: {_names(state.not_ready)}."


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)


def failure_reasons(metrics: Metrics) -> list[str]:
    """Which models failed at what since they were loaded, one sentence for each."""
    found = {
        model: dict(reasons)
        for model, reasons in metrics.failures.items()
        if model not in ENSEMBLES
    }
    for model, count in metrics.errors.items():
        if count:
            found.setdefault(model, {})["answered with an error"] = count
    return [
        f"{model}: " + ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        for model, reasons in sorted(found.items())
    ]


def memory_text(used_bytes: float, total_bytes: float) -> str:
    """Memory as "5.3 of 16.0 GB"."""
    return f"{used_bytes / BYTES_PER_GB:.1f} of {total_bytes / BYTES_PER_GB:.1f} GB"


def gpu_text(gpu: Gpu) -> str:
    """What is known of a GPU, in a line."""
    parts = []
    if gpu.utilization is not None:
        parts.append(f"{gpu.utilization:.0%} busy")
    if gpu.memory_used_bytes is not None and gpu.memory_total_bytes is not None:
        parts.append(f"memory {memory_text(gpu.memory_used_bytes, gpu.memory_total_bytes)}")
    if gpu.power_watts is not None:
        parts.append(f"{gpu.power_watts:.0f} W")
    return f"{gpu.name}: {', '.join(parts) or 'nothing is known of it'}"
