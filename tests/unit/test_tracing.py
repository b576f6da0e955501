"""Request ids and spans where nothing of OpenTelemetry is set up, or it is not installed."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from tritonclient.utils import InferenceServerException

from server.traces import trace_arguments
from tests.launching import PROJECT
from vemoclap_client.errors import InferenceError, VideoError
from vemoclap_client.sending import send
from vemoclap_client.tracing import REQUEST_ID, requests_named, set_up_traces, start_call

WITHOUT_OPENTELEMETRY = """
import sys
sys.modules["opentelemetry"] = None  # As if it were not installed.
from vemoclap_client.tracing import set_up_traces, start_call
with start_call("classify") as call, call.send("vemoclap") as sent:
    assert sent.options == {"request_id": call.request_id, "headers": {}}, sent.options
    sent.add_ended("step fusion")
with call.as_current():
    pass
print(set_up_traces("test"))
"""


class FailingConnection:
    """In place of tritonclient's connection."""

    def async_infer(self, callback: Callable[..., None], **request: Any) -> "FailingConnection":
        self.request = request
        error = InferenceServerException("a slot broke", "StatusCode.INTERNAL")
        callback(result=None, error=error)
        return self

    def cancel(self) -> None:
        pass


def test_without_opentelemetry_there_are_request_ids_and_no_spans(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    command = [sys.executable, "-c", WITHOUT_OPENTELEMETRY]
    done = subprocess.run(
        command, cwd=PROJECT / "client", capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_nothing_is_imported_before_a_call() -> None:
    code = "import sys, vemoclap_client.client; print('opentelemetry' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT / "client",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


def test_nothing_is_set_up_where_no_endpoint_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    assert set_up_traces("test")
    with start_call("classify") as call:
        assert call.headers == {}


def test_every_call_has_a_request_id_of_its_own_unless_one_is_chosen() -> None:
    ids = {start_call("classify").request_id for _ in range(100)}
    assert len(ids) == 100
    with requests_named("chosen"):
        with requests_named("inner"):
            assert start_call("classify").request_id == "inner"
        assert start_call("classify").start("decode").request_id == "chosen"
    assert REQUEST_ID.get() is None


def test_errors_of_the_server_have_the_request_id() -> None:
    connection: Any = FailingConnection()
    with (
        pytest.raises(InferenceError, match=r"a slot broke.* \[request chosen\]$") as raised,
        requests_named("chosen"),
        start_call("classify") as call,
        call.send("vemoclap") as sent,
    ):
        send(connection, {"model_name": "vemoclap", **sent.options}, "host:1", 1.0)
    assert raised.value.request_id == connection.request["request_id"] == "chosen"


def test_errors_before_a_request_have_none() -> None:
    with pytest.raises(VideoError) as raised, start_call("classify") as call, call.start("decode"):
        raise VideoError("broken")
    assert raised.value.request_id is None
    assert str(raised.value) == "broken"


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://host:4318"}, "http://host:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://host/otel/"}, "http://host/otel/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://host/t"}, "http://host/t"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://other",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://host/t",
            },
            "http://host/t",
        ),
    ],
)
def test_triton_sends_traces_where_the_variables_say(environment: dict[str, str], url: str) -> None:
    arguments = trace_arguments(environment)
    assert f"--trace-config=opentelemetry,url={url}" in arguments
    assert "--trace-config=opentelemetry,resource=service.name=vemoclap-server" in arguments
    named = trace_arguments({**environment, "OTEL_SERVICE_NAME": "mine"})
    assert "--trace-config=opentelemetry,resource=service.name=mine" in named
    often = trace_arguments({**environment, "OTEL_BSP_SCHEDULE_DELAY": "200"})
    assert set(often) - set(arguments) == {"--trace-config=opentelemetry,bsp_schedule_delay=200"}


def test_triton_traces_nothing_unless_asked() -> None:
    assert trace_arguments({"OTEL_SERVICE_NAME": "mine", "OTEL_EXPORTER_OTLP_ENDPOINT": ""}) == []
