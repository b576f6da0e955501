"""Receives OTLP over HTTP: the protobuf of OpenTelemetry for Python, and the JSON of Triton."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.launching import wait_until


@dataclass(frozen=True)
class ReceivedSpan:
    """A span; ids are hexadecimal, times in nanoseconds."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: dict[str, str]
    is_error: bool


@dataclass
class Receiver:
    """What came so far."""

    url: str = ""
    spans: list[ReceivedSpan] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def with_request(self, request_id: str) -> list[ReceivedSpan]:
        """The spans of that request, its service's own or Triton's."""
        names = ("vemoclap.request_id", "triton.request_id")
        return [
            span
            for span in self.spans
            if request_id in (span.attributes.get(name) for name in names)
        ]

    def wait_for(self, name: str, request_id: str) -> ReceivedSpan:
        """The span of that name and request, once it has come."""

        def found() -> list[ReceivedSpan]:
            return [span for span in self.with_request(request_id) if span.name == name]

        wait_until(found)
        return found()[0]

    def by_id(self, span_id: str) -> ReceivedSpan | None:
        """The span of that id."""
        return next((span for span in self.spans if span.span_id == span_id), None)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens on this machine."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
            is_json = "json" in self.headers["Content-Type"]
            receiver.spans.extend(_parse_json(body) if is_json else _parse_protobuf(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield receiver
        server.shutdown()


def _parse_json(body: bytes) -> Iterator[ReceivedSpan]:
    for resource in json.loads(body)["resourceSpans"]:
        service = _attributes(resource["resource"])["service.name"]
        for span in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
            yield ReceivedSpan(
                service,
                span["name"],
                span["traceId"],
                span["spanId"],
                span.get("parentSpanId", ""),
                int(span["startTimeUnixNano"]),
                int(span["endTimeUnixNano"]),
                _attributes(span),
                span.get("status", {}).get("code") == 2,
            )


def _attributes(holder: dict[str, Any]) -> dict[str, str]:
    return {
        each["key"]: str(next(iter(each["value"].values())))
        for each in holder.get("attributes", [])
    }


def _parse_protobuf(body: bytes) -> Iterator[ReceivedSpan]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        names = {each.key: each.value.string_value for each in resource.resource.attributes}
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            yield ReceivedSpan(
                names["service.name"],
                span.name,
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                span.start_time_unix_nano,
                span.end_time_unix_nano,
                {each.key: each.value.string_value for each in span.attributes},
                span.status.code == 2,
            )
