"""Triton's state: whether it answers, which models are ready, and each one's counters.

The launcher closes the model-repository API to all but itself. So the models' names come from
the statistics, which name those that are ready, and from slots.py, which names them all.
"""

import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

import tritonclient.grpc as triton

from ui.screens.service.metrics import Metrics
from ui.screens.service.slots import SLOTS, Slot
from vemoclap_client.channels import connection, split
from vemoclap_client.client import BaseClient
from vemoclap_client.contract import ENTRY
from vemoclap_client.errors import ServerError
from vemoclap_client.server_errors import server_errors

TIMEOUT_S = 2.0
"""For each question to the server: a page must not wait for one that hangs."""
CHANNEL = [("grpc.use_local_subchannel_pool", 1)]
"""A connection of its own: a shared one would go on waiting to retry after a restart."""
NANOSECONDS_PER_MS = 1_000_000


@dataclass(frozen=True)
class Counters:
    """What a model has done since it was loaded.

    Attributes:
        requests: answered, to Triton: with an error of a slot, or as busy, too.
        failures: refused after too long in a queue, cancelled or failed, to Triton.
        errors: answered with an error of the slot; 0 where ServerState.knows_errors is False.
        refused: answered as busy; likewise.
        rows: items worked on; a request may bring several.
        executions: batches that they were worked on in.
        request_ms: sum over the answered requests, from arrival to answer.
        queue_ms: of that, waiting.
        compute_ms: of that, working, with the copying of tensors.
    """

    requests: int = 0
    failures: int = 0
    rows: int = 0
    executions: int = 0
    request_ms: float = 0.0
    queue_ms: float = 0.0
    compute_ms: float = 0.0
    errors: int = 0
    refused: int = 0

    def __add__(self, other: Self) -> Self:
        return replace(
            self, **{name: value + getattr(other, name) for name, value in vars(self).items()}
        )

    def __sub__(self, other: Self) -> Self:
        return replace(
            self, **{name: value - getattr(other, name) for name, value in vars(self).items()}
        )


class Readiness(StrEnum):
    """Whether a model can be used."""

    READY = "ready"
    NOT_READY = "not ready"
    LEFT_OUT = "not in this profile"


@dataclass(frozen=True)
class Model:
    """A model of the repository.

    Attributes:
        backend: what runs it: python, onnxruntime, pytorch or ensemble; "" while it is not ready.
        version: of the model; "" while it is not ready.
    """

    name: str
    purpose: str
    readiness: Readiness
    backend: str = ""
    version: str = ""


@dataclass(frozen=True)
class ServerState:
    """Triton at one moment.

    Attributes:
        at_s: when, on the clock of time.monotonic.
        trouble: why nothing could be learnt; None if it answers.
        version: Triton's.
        models: in the order of slots.py.
        counters: by the name of the model, of those that are ready.
        knows_errors: whether the metrics have been read, now or before.
    """

    at_s: float
    trouble: str | None = None
    version: str = ""
    models: tuple[Model, ...] = ()
    counters: Mapping[str, Counters] = field(default_factory=dict)
    knows_errors: bool = False

    @property
    def not_ready(self) -> list[str]:
        """Names of the models that should be ready and are not."""
        return [model.name for model in self.models if model.readiness is Readiness.NOT_READY]

    def with_metrics(self, metrics: Metrics | None, before: Self | None) -> Self:
        """This, with the errors and refusals of the metrics; without them, as they were before."""
        known = before.counters if before else {}
        knows_errors = metrics is not None or (before is not None and before.knows_errors)

        def counted(name: str, counters: Counters) -> Counters:
            last = known.get(name, Counters())
            if metrics is None:
                return replace(counters, errors=last.errors, refused=last.refused)
            errors, refused = metrics.errors.get(name, 0), metrics.refused.get(name, 0)
            return replace(counters, errors=errors, refused=refused)

        counters = {name: counted(name, count) for name, count in self.counters.items()}
        return replace(self, counters=counters, knows_errors=knows_errors)

    @property
    def can_classify(self) -> bool:
        """Whether the model that clients call is ready."""
        ready = (model.name for model in self.models if model.readiness is Readiness.READY)
        return ENTRY in ready


def poll(url: str, before: ServerState | None = None, timeout_s: float = TIMEOUT_S) -> ServerState:
    """Reads a server's state. Never raises: what went wrong is the state's `trouble`.

    Args:
        url: host:port of the gRPC endpoint; of several, the first is read.
        before: an earlier state, so that what does not change is not asked for again.
        timeout_s: longest wait for each of a few answers.
    """
    try:
        url = split(BaseClient(url).url)[0]
        options = connection(url, in_turn=False)
        options["channel_args"] += CHANNEL
        with (
            server_errors(url, timeout_s, connected=False),
            closing(triton.InferenceServerClient(**options)) as client,
        ):
            return _ask(client, before, timeout_s)
    except ServerError as error:
        return ServerState(time.monotonic(), trouble=str(error))


def _ask(
    client: triton.InferenceServerClient, before: ServerState | None, timeout_s: float
) -> ServerState:
    version = client.get_server_metadata(client_timeout=timeout_s).version
    statistics = client.get_inference_statistics(client_timeout=timeout_s).model_stats
    known = {model.name: model for model in before.models} if before else {}
    models = []
    for name, slot in _slots(entry.name for entry in statistics):
        ready = client.is_model_ready(name, client_timeout=timeout_s)
        model = known.get(name) or Model(name, slot.purpose, Readiness.NOT_READY)
        if ready and model.readiness is not Readiness.READY:
            config = client.get_model_config(name, client_timeout=timeout_s).config
            model = Model(name, slot.purpose, Readiness.READY, *_backend(config, statistics))
        models.append(model if ready else missing(name, slot))
    return ServerState(time.monotonic(), None, version, tuple(models), read_counters(statistics))


def _slots(found: Iterable[str]) -> list[tuple[str, Slot]]:
    """The slots that we know, and then any other model that the server has."""
    others = {name: Slot("") for name in sorted(set(found) - set(SLOTS))}
    return list({**SLOTS, **others}.items())


def missing(name: str, slot: Slot) -> Model:
    """A model that the server does not have, which is as it should be for an optional one."""
    readiness = Readiness.LEFT_OUT if slot.is_optional else Readiness.NOT_READY
    return Model(name, slot.purpose, readiness)


def _backend(config: Any, statistics: Iterable[Any]) -> tuple[str, str]:
    versions = [entry.version for entry in statistics if entry.name == config.name]
    return config.backend or config.platform, ", ".join(versions)


def read_counters(statistics: Iterable[Any]) -> dict[str, Counters]:
    """Triton's ModelStatistics messages, by model; a model's versions are added up."""
    found: dict[str, Counters] = {}
    for entry in statistics:
        found[entry.name] = found.get(entry.name, Counters()) + _read(entry)
    return found


def _read(entry: Any) -> Counters:
    times = entry.inference_stats
    compute = (times.compute_input, times.compute_infer, times.compute_output)
    return Counters(
        requests=times.success.count,
        failures=times.fail.count,
        rows=entry.inference_count,
        executions=entry.execution_count,
        request_ms=times.success.ns / NANOSECONDS_PER_MS,
        queue_ms=times.queue.ns / NANOSECONDS_PER_MS,
        compute_ms=sum(part.ns for part in compute) / NANOSECONDS_PER_MS,
    )
