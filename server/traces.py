"""Triton's own traces: sent by OTLP over HTTP where OpenTelemetry's variables name an endpoint."""

from collections.abc import Mapping

SERVICE = "vemoclap-server"


def trace_arguments(environment: Mapping[str, str]) -> list[str]:
    """Triton's arguments for traces; none where no endpoint is named.

    A request that says by `traceparent` which trace it belongs to is a part of that. Triton does
    not see whether that trace was sampled: it sends its spans of every request.

    Source: OpenTelemetry's specification of the OTLP exporter for the variables; the path is
    added to the general endpoint alone. Triton itself reads OTEL_RESOURCE_ATTRIBUTES and
    OTEL_EXPORTER_OTLP_HEADERS.
    """
    url = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if not url:
        base = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        if not base:
            return []
        url = f"{base.rstrip('/')}/v1/traces"
    settings = [
        "mode=opentelemetry",
        "level=TIMESTAMPS",
        "rate=1",
        f"opentelemetry,url={url}",
        f"opentelemetry,resource=service.name={environment.get('OTEL_SERVICE_NAME') or SERVICE}",
    ]
    if delay_ms := environment.get("OTEL_BSP_SCHEDULE_DELAY"):
        settings.append(f"opentelemetry,bsp_schedule_delay={delay_ms}")
    return [f"--trace-config={setting}" for setting in settings]
