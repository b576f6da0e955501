"""Traces, request ids, logs and metrics of a real server, and what is made of them."""

import json
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tritonclient.utils import InferenceServerException

from tests.clips import write_clip
from tests.docker_files import DOCKER
from tests.launching import PROJECT, SERVER_PYTHON, Launched, free_port, launched, wait_until
from tests.requiring import require
from tests.trace_receiver import Receiver, receiving
from ui.screens.service.metrics import OPENER
from vemoclap_client import EmotionClient
from vemoclap_client.contract import AUDIO, ENTRY, JPEG_ENTRY, JPEG_FRAMES, STREAM

SECRET = "secret-of-the-receiver"
STEPS_OF_STREAM = {"step image_encoder", "step face_analyzer", "step fusion"}
CALLS = ["classify", "stream", "timeline", "async-classify", "async-stream", "async-timeline"]
MONITORING = DOCKER / "monitoring"
GPU_METRICS = {
    "nv_gpu_memory_total_bytes",
    "nv_gpu_memory_used_bytes",
    "nv_gpu_power_usage",
    "nv_gpu_utilization",
}
"""Named by rules and dashboard, and not there without a GPU: their names are NVIDIA's word."""


def garbage() -> dict[str, Any]:
    """A clip whose frames are no JPEG files."""
    frames = np.array([[b"no JPEG"] * 16], object)
    return {JPEG_FRAMES: frames, AUDIO: np.zeros((1, 0), np.float32)}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def observed(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """A server that sends its traces and writes its log as JSON."""
    require(SERVER_PYTHON, "setup")
    require(PROJECT / "model_repository" / "fusion" / "1" / "model.onnx", "export")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        environment.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"api-key={SECRET}")
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")  # 5 s otherwise.
        environment.setenv("VEMOCLAP_LOG_FORMAT", "json")
        with launched(tmp_path_factory.mktemp("observed")) as running:
            yield running


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "holiday.mp4", seconds=2)


@pytest.fixture(scope="module")
def traced(observed: Launched, receiver: Receiver, clip: Path) -> Receiver:
    """The receiver, once a program has called the server in every way."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        command = [sys.executable, "-m", "tests.traced_calls", observed.url, str(clip)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for request_id in CALLS:
        model = {"classify": ENTRY, "stream": STREAM, "timeline": "vemoclap_window"}
        receiver.wait_for(model[request_id.removeprefix("async-")], request_id)
    return receiver


@pytest.mark.parametrize("request_id", CALLS)
def test_a_call_is_one_trace_in_the_client(request_id: str, traced: Receiver) -> None:
    call = request_id.removeprefix("async-")
    spans = [span for span in traced.with_request(request_id) if span.service == "test"]
    (root,) = (span for span in spans if span.name == f"vemoclap {call}")
    assert {span.trace_id for span in spans} == {root.trace_id}
    names = {span.name for span in spans if span.parent_id == root.span_id}
    assert names == ({"send"} if call == "timeline" else {"send", "decode"})
    if call == "stream":
        (sent,) = (span for span in spans if span.name == "send")
        steps = {span.name for span in spans if span.parent_id == sent.span_id}
        assert steps >= STEPS_OF_STREAM
        assert all(span.start_ns == sent.start_ns for span in spans if "step" in span.name)


@pytest.mark.parametrize("request_id", ["timeline", "async-timeline"])
def test_a_slot_that_another_calls_is_a_part_of_it_with_its_request_id(
    request_id: str, traced: Receiver
) -> None:
    called = traced.wait_for("fusion", request_id)
    wait_until(lambda: traced.by_id(called.parent_id))
    caller = traced.by_id(called.parent_id)
    assert caller
    assert (caller.name, caller.trace_id) == ("vemoclap_window", called.trace_id)
    assert caller in traced.with_request(request_id)


def test_triton_joins_the_clients_traces(traced: Receiver) -> None:
    """Not all: now and then Triton 2.51 does not see the header, see docs/observability.md."""

    def joined() -> set[str]:
        """The names of the spans that Triton's spans of whole requests are a part of."""
        requests = [span for span in traced.spans if span.name == "InferRequest"]
        parents = [traced.by_id(span.parent_id) for span in requests if span.parent_id]
        return {parent.name for parent in parents if parent}

    wait_until(joined)
    assert joined() == {"send"}


def test_the_apps_span_is_above_the_clients(traced: Receiver) -> None:
    job = traced.wait_for("vemoclap job classify", "stream")
    (call,) = (span for span in traced.with_request("stream") if span.name == "vemoclap stream")
    assert call.parent_id == job.span_id


def test_spans_name_neither_files_nor_jobs_nor_secrets(traced: Receiver) -> None:
    failed = traced.wait_for("vemoclap job classify", "failed")
    assert failed.is_error
    assert failed.attributes["error.type"] == "VideoNotFoundError"
    for text in map(str, traced.spans):
        assert not {word for word in ("holiday", "nobody", SECRET) if word in text}
    # The variable for headers holds for Triton, too.
    assert SECRET in {headers.get("api-key") for headers in traced.headers}


def expressions(kind: str) -> list[str]:
    """The PromQL of the rules or of the dashboard's panels, with Grafana's variables replaced."""
    if kind == "rules":
        groups = yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"]
        return [rule["expr"] for group in groups for rule in group["rules"]]
    dashboard = json.loads((MONITORING / "grafana" / "vemoclap.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    variables = {"$instance": ".*", "$__rate_interval": "1m"}
    return [re.sub(r"\$\w+", lambda name: variables[name[0]], each) for each in found]


def metrics_of(server: Launched) -> str:
    url = f"http://{server.ready['host']}:{server.ready['metrics_port']}/metrics"
    with OPENER.open(url) as response:
        return str(response.read().decode())


@pytest.mark.parametrize("kind", ["rules", "dashboard"])
def test_metrics_that_are_named_are_triton_s(kind: str, observed: Launched) -> None:
    there = set(re.findall(r"^(?:nv|vemoclap)_\w+", metrics_of(observed), re.MULTILINE))
    without_models = re.sub('"[^"]*"', "", " ".join(expressions(kind)))
    named = set(re.findall(r"\b(?:nv|vemoclap)_\w+", without_models))
    assert len(named) > 5
    assert named - there <= GPU_METRICS
    assert not there & GPU_METRICS


class Prometheus:
    """A real Prometheus."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def get(self, path: str, **arguments: str) -> Any:
        """The data of a response; None before it answers."""
        url = f"{self._url}/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with OPENER.open(url) as response:
                return json.load(response)["data"]
        except urllib.error.URLError as error:
            if isinstance(error, urllib.error.HTTPError) and error.code != 503:
                raise AssertionError(f"{arguments}: {error.read().decode()}") from error
            return None

    def query(self, expression: str) -> list[Any]:
        """The samples that an expression has now."""
        data = self.get("query", query=expression)
        return list(data["result"]) if data else []


@pytest.fixture(scope="module")
def prometheus(
    observed: Launched, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Prometheus with the project's configuration, but every second, and the test's server."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is missing: apt-get install prometheus")
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    config = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
    config["global"] = dict.fromkeys(config["global"], "1s")
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{observed.ready['metrics_port']}"]}]
    shutil.copy(MONITORING / "rules.yaml", folder)
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    command = [
        program,
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with subprocess.Popen(command) as process:
        try:
            yield Prometheus(port)
        finally:
            process.terminate()


def test_prometheus_has_values_for_all_that_rules_and_dashboard_name(
    observed: Launched, clip: Path, prometheus: Prometheus
) -> None:
    scraped = "count_over_time(nv_inference_count{model='vemoclap'}[5m])"
    wait_until(lambda: prometheus.query(scraped))
    with EmotionClient(observed.url) as client:
        client.classify(clip)
    with pytest.raises(InferenceServerException):
        observed.infer(JPEG_ENTRY, garbage())
    for counted in (
        "nv_inference_request_success{model='vemoclap'}",
        "nv_inference_request_failure{model='vemoclap_jpeg_ensemble', reason='OTHER'}",
        "vemoclap_slot_errors{model='vemoclap_jpeg'}",
    ):
        wait_until(lambda counted=counted: prometheus.query(f"rate({counted}[1m]) > 0"))
    wait_until(lambda: prometheus.query("vemoclap:clips:rate5m > 0"))
    for expression in expressions("dashboard"):
        found = prometheus.query(expression)
        assert bool(found) != bool(re.search("nv_gpu_", expression)), expression
    (group,) = prometheus.get("rules")["groups"]
    assert len(group["rules"]) == len(expressions("rules"))
    for rule in group["rules"]:
        assert (rule["health"], rule.get("lastError", "")) == ("ok", ""), rule
        if rule["type"] == "recording":
            assert prometheus.query(rule["name"]), rule["name"]
        else:
            assert rule["state"] == "inactive", rule


def test_logs_are_json_with_the_request_id(observed: Launched) -> None:
    """The last test of the server: it ends it."""
    with pytest.raises(InferenceServerException):
        observed.infer(JPEG_ENTRY, garbage(), request_id="broken-request")
    observed.stop()
    assert observed.launcher.stdout
    lines = [json.loads(line) for line in observed.launcher.stdout.read().splitlines()]
    assert {line["service"] for line in lines} == {"vemoclap-server"}
    for line in lines:
        assert line["time"].endswith("+00:00")
    messages = [line["message"] for line in lines if line["logger"] == "server"]
    assert any(message.startswith("ready in") for message in messages)
    assert messages[-1] == "stopped"
    broken = [line for line in lines if line.get("request_id") == "broken-request"]
    # Of the step that failed and, as the id is handed on, of the entry that was called.
    assert len(broken) == 2
    for line in broken:
        assert (line["level"], line["logger"]) == ("ERROR", "triton")
        assert "FrameError" in line["message"]
    assert SECRET not in json.dumps(lines)
