"""The id of a request and, where OpenTelemetry is installed, its spans.

All requests of one call, such as `classify`, have one request id, which is in Triton's spans and
errors, in logs (logs.py) and in the errors that the call raises. `requests_named` chooses it.

Spans go where the program has OpenTelemetry send them, by `set_up_traces` or otherwise. Without
the package opentelemetry-api (extra `traces`) nothing of it is imported. No span holds the name of
a file or what is said, written or shown in a clip.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from types import TracebackType
from typing import Any, Self

from vemoclap_client.errors import VemoclapError

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""OpenTelemetry's own variables: one of them set means that traces are wanted."""

REQUEST_ID_BYTES = 8
REQUEST_ID: ContextVar[str | None] = ContextVar("vemoclap_request_id", default=None)


def new_request_id() -> str:
    """A request id that no other call has."""
    return secrets.token_hex(REQUEST_ID_BYTES)


@contextmanager
def requests_named(request_id: str) -> Iterator[None]:
    """Gives the calls in its block, which has no `yield`, this request id."""
    token = REQUEST_ID.set(request_id)
    try:
        yield
    finally:
        REQUEST_ID.reset(token)


class Span:
    """A call, or a part of one, from its start until `end` or the end of its `with` block.

    Attributes:
        request_id: of the call.
    """

    def __init__(self, request_id: str, span: Any = None, is_request: bool = False) -> None:
        """Use start_call, `start` and `send`; `span` is OpenTelemetry's, where it is installed."""
        self.request_id = request_id
        self._span = span
        self._is_request = is_request

    def start(self, name: str, **attributes: str) -> "Span":
        """A part of this, which starts now."""
        return _start(name, self.request_id, attributes, self._span)

    def send(self, model: str) -> "Span":
        """A request to a model, which starts now; its errors get the request id."""
        part = self.start("send", model=model)
        return Span(self.request_id, part._span, is_request=True)

    def add_ended(self, name: str, **attributes: str) -> None:
        """Adds a part that started with this and ends now."""
        start_ns = getattr(self._span, "start_time", None)
        _start(name, self.request_id, attributes, self._span, start_ns).end()

    @contextmanager
    def as_current(self) -> Iterator[None]:
        """Makes the calls in its block, which has no `yield`, parts of this."""
        found = _opentelemetry()
        if self._span is None or found is None:
            yield
            return
        with found[0].use_span(self._span, record_exception=False, set_status_on_exception=False):
            yield

    @property
    def headers(self) -> dict[str, str]:
        """W3C's traceparent and its like, for the request that this span is about."""
        headers: dict[str, str] = {}
        if self._span is not None and (found := _opentelemetry()):
            trace, propagate = found
            propagate.inject(headers, trace.set_span_in_context(self._span))
        return headers

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of tritonclient's infer that tell Triton the request id and the span."""
        return {"request_id": self.request_id, "headers": self.headers}

    def end(self, error: BaseException | None = None) -> None:
        """Ends it, by an error or without one."""
        if self._is_request and isinstance(error, VemoclapError):
            error.request_id = self.request_id
        if self._span is None:
            return
        if isinstance(error, Exception) and (found := _opentelemetry()):
            # Its kind alone: the message may name a file.
            kind = type(error).__name__
            self._span.set_attribute("error.type", kind)
            self._span.set_status(found[0].StatusCode.ERROR, kind)
        self._span.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(error)


def start_call(name: str, **attributes: str) -> Span:
    """A call of this package's, which starts now, as a part of the program's current span."""
    request_id = REQUEST_ID.get() or new_request_id()
    return _start(f"vemoclap {name}", request_id, attributes)


def _start(
    name: str,
    request_id: str,
    attributes: Mapping[str, str],
    parent: Any = None,
    start_ns: int | None = None,
) -> Span:
    found = _opentelemetry()
    if found is None:
        return Span(request_id)
    trace, _ = found
    span = trace.get_tracer("vemoclap_client").start_span(
        name,
        None if parent is None else trace.set_span_in_context(parent),
        attributes={"vemoclap.request_id": request_id, **attributes},
        start_time=start_ns,
    )
    return Span(request_id, span)


@cache
def _opentelemetry() -> tuple[Any, Any] | None:
    """Its modules trace and propagate, or None where it is not installed."""
    try:
        return import_module("opentelemetry.trace"), import_module("opentelemetry.propagate")
    except ImportError:
        return None


def set_up_traces(service: str) -> bool:
    """Has this process send its spans by OTLP over HTTP, where the environment names an endpoint.

    OpenTelemetry's other variables count, too: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
    OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER.

    Args:
        service: the name of this process's service, where OTEL_SERVICE_NAME is not set.

    Returns:
        False where an endpoint is named and the extra `traces` is not installed.
    """
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return True
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        return False
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": service}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return True
