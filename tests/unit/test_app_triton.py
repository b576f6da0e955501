"""What the app reads of Triton, on answers recorded from a real one after two clips."""

import json
import re
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from google.protobuf import json_format
from tritonclient.grpc import service_pb2

from server.repository import is_optional, read_configs
from tests.launching import PROJECT
from ui.screens.service.activity import History, between
from ui.screens.service.facts import advice, failure_reasons, gpu_text, headline, model_rows, status
from ui.screens.service.metrics import MetricsError, fetch_metrics, parse_metrics
from ui.screens.service.slots import SLOTS
from ui.screens.service.state import Counters, Model, Readiness, ServerState, poll, read_counters

RECORDED = json_format.Parse(
    Path(__file__).with_name("triton_statistics.json").read_text(),
    service_pb2.ModelStatisticsResponse(),
)
METRICS = Path(__file__).with_name("triton_metrics.txt").read_text()
GPU_METRICS = """\
# TYPE nv_gpu_utilization gauge
nv_gpu_utilization{gpu_uuid="GPU-1"} 0.25
# TYPE nv_gpu_memory_total_bytes gauge
nv_gpu_memory_total_bytes{gpu_uuid="GPU-1"} 80000000000
# TYPE nv_gpu_memory_used_bytes gauge
nv_gpu_memory_used_bytes{gpu_uuid="GPU-1"} 20000000000
"""


def state(at_s: float, *models: Model, **counters: Counters) -> ServerState:
    return ServerState(at_s, None, "2.51.0", models, counters)


def model(name: str, readiness: Readiness = Readiness.READY) -> Model:
    return Model(name, "does it", readiness, "python", "1")


def test_recorded_statistics_are_read_with_their_units() -> None:
    audio = read_counters(RECORDED.model_stats)["audio_encoder"]
    assert (audio.requests, audio.failures, audio.rows, audio.executions) == (4, 0, 16, 4)
    assert audio.request_ms == pytest.approx(1051.425, abs=0.001)
    assert audio.queue_ms == pytest.approx(18.163, abs=0.001)
    assert audio.compute_ms == pytest.approx(61.333 + 971.605 + 0.285, abs=0.001)


def test_versions_of_a_model_are_added_up() -> None:
    twice = [*RECORDED.model_stats, *RECORDED.model_stats]
    assert read_counters(twice)["audio_encoder"].rows == 32


def test_activity_is_that_of_the_stretch_and_not_since_the_start() -> None:
    before = Counters(requests=100, rows=100, executions=100, request_ms=9e6, queue_ms=9e5)
    after = Counters(104, 1, 116, 102, 9e6 + 2000, 9e5 + 40, 1600)
    done = between(before, after, seconds=8)
    assert (done.work.requests, done.work.failures, done.batch) == (4, 1, 8)
    assert (done.per_minute, done.request_ms, done.queue_ms, done.compute_ms) == (30, 500, 10, 400)


def test_nothing_done_has_no_means() -> None:
    idle = between(Counters(3), Counters(3), seconds=2)
    assert (idle.per_minute, idle.batch, idle.request_ms, idle.queue_ms) == (0, None, None, None)


def test_a_model_that_was_loaded_anew_counts_from_zero() -> None:
    assert between(Counters(requests=50), Counters(requests=2), 4).work.requests == 2


def test_recent_looks_back_as_far_as_it_is_asked() -> None:
    history = History()
    for at_s, requests in ((0, 0), (30, 10), (60, 30), (90, 60)):
        history.add(state(at_s, fusion=Counters(requests=requests)))
    assert history.recent(60)["fusion"].work.requests == 50
    assert history.recent(60)["fusion"].seconds == 60
    assert history.recent(1000)["fusion"].work.requests == 60
    assert history.total()["fusion"].per_minute is None
    assert [step.work.requests for step in history.steps("fusion")] == [10, 20, 30]


@pytest.mark.parametrize(
    "interruption", [ServerState(20, trouble="gone"), state(20, fusion=Counters(requests=1))]
)
def test_an_outage_or_a_restart_ends_what_is_remembered(interruption: ServerState) -> None:
    history = History()
    history.add(state(0, fusion=Counters(requests=9)))
    history.add(interruption)
    history.add(state(22, fusion=Counters(requests=2)))
    assert history.recent(60)["fusion"].work.requests <= 2


def test_history_is_bounded() -> None:
    history = History(length=3)
    for at_s in range(10):
        history.add(state(at_s, fusion=Counters(requests=at_s)))
    assert len(history.steps("fusion")) == 2


def test_recorded_metrics_are_read() -> None:
    metrics = parse_metrics(METRICS)
    assert metrics.pending == {"vemoclap": 0, "fusion": 0}
    assert metrics.failures == {}
    assert metrics.cpu_utilization == 1
    assert metrics.memory_used_bytes == 7180410880
    assert metrics.memory_total_bytes == 25276502016
    assert metrics.gpus == ()


def test_waiting_requests_failures_and_gpus_are_told() -> None:
    text = re.sub(r'(pending_request_count\{model="fusion".*\}) 0', r"\1 3", METRICS)
    text = re.sub(r'(failure\{model="fusion",reason="REJECTED".*\}) 0', r"\1 2", text)
    metrics = parse_metrics(text + GPU_METRICS)
    assert metrics.pending["fusion"] == 3
    assert failure_reasons(metrics) == ["fusion: 2 rejected"]
    assert [gpu_text(gpu) for gpu in metrics.gpus] == ["GPU 0: 25% busy, memory 20.0 of 80.0 GB"]


@pytest.mark.parametrize("text", ["", "hello there", "# TYPE other gauge\nother 1\n", "<html>"])
def test_what_is_not_tritons_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_metrics(text)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/metrics", "nonsense", "http://"])
def test_metrics_that_are_not_there_say_what_to_set(url: str) -> None:
    with pytest.raises(MetricsError, match="VEMOCLAP_METRICS_URL"):
        fetch_metrics(url)


def test_metrics_come_over_http_whatever_proxy_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(METRICS.encode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        metrics = fetch_metrics(f"http://127.0.0.1:{server.server_port}/metrics")
        thread.join()
    assert metrics == parse_metrics(METRICS)


@pytest.mark.parametrize("url", ["127.0.0.1:1", "http://127.0.0.1:8001", "no such host:1"])
def test_a_server_that_is_not_there_is_a_state_and_no_error(url: str) -> None:
    found = poll(url, timeout_s=1)
    assert found.trouble
    assert not found.can_classify
    assert "make serve" in " ".join(advice(found))


def test_every_model_of_the_repository_is_described() -> None:
    configs = read_configs(PROJECT / "model_repository")
    assert set(SLOTS) == set(configs)
    for name, config in configs.items():
        assert SLOTS[name].is_optional == is_optional(config), name


def test_status_and_advice_name_what_is_not_ready() -> None:
    ready = state(0, model("vemoclap"), model("fusion"), vemoclap=Counters(), fusion=Counters())
    assert "is ready" in status(ready, "host:1")
    assert advice(ready) == []
    broken = replace(
        ready,
        models=tuple(model(name, Readiness.NOT_READY) for name in ("vemoclap", "fusion")),
    )
    assert "cannot classify clips. Not ready: vemoclap, fusion" in status(broken, "host:1")
    assert "vemoclap, fusion" in " ".join(advice(broken))
    left_out = replace(ready, models=(model("vemoclap"), model("captioner", Readiness.LEFT_OUT)))
    assert "is ready" in status(left_out, "host:1")


def test_the_headline_joins_both_ways_into_the_server() -> None:
    history = History()
    names = ("vemoclap_ensemble", "vemoclap_stream", "fusion")
    history.add(state(0, **dict.fromkeys(names, Counters())))
    done = {
        "vemoclap_ensemble": Counters(3, 1, request_ms=3000),
        "vemoclap_stream": Counters(1, 0, 1, 1, 5000),
    }
    history.add(state(30, **done, fusion=Counters(4)))
    numbers = headline(history.recent(60), None)
    assert (numbers.clips, numbers.refused, numbers.failures, numbers.waiting) == (4,) + (None,) * 3
    assert (numbers.per_minute, numbers.mean_s) == (8, 1)


def test_errors_and_refusals_are_those_that_the_slots_count() -> None:
    """To Triton they are successes."""
    counted = """# TYPE vemoclap_slot_errors counter
vemoclap_slot_errors{model="vemoclap_jpeg"} 2
vemoclap_slot_errors{model="vemoclap_stream"} 1
vemoclap_slot_errors{model="face_analyzer"} 9
# TYPE vemoclap_refused_requests counter
vemoclap_refused_requests{model="vemoclap_stream"} 3
# TYPE vemoclap_waiting_requests gauge
vemoclap_waiting_requests{model="vemoclap"} 5
"""
    metrics = parse_metrics(METRICS + counted)
    called = {"vemoclap_ensemble": Counters(4), "vemoclap_stream": Counters(6)}
    before = state(0, **dict.fromkeys(called, Counters()), vemoclap_jpeg=Counters())
    history = History()
    history.add(before.with_metrics(parse_metrics(METRICS), None))
    after = state(30, **called, vemoclap_jpeg=Counters(3)).with_metrics(metrics, before)
    history.add(after)
    numbers = headline(history.recent(60), metrics)
    # Without the metrics: as they were.
    assert after.with_metrics(None, after) == after
    assert (numbers.clips, numbers.refused, numbers.failures, numbers.waiting) == (6, 3, 3, 5)
    assert "face_analyzer: 9 answered with an error" in failure_reasons(metrics)


@pytest.mark.parametrize("errors_before", [None, 9])
def test_errors_of_before_do_not_count(errors_before: int | None) -> None:
    """The metrics were not known, or are those of another server."""

    def read(at_s: float, errors: int | None) -> None:
        text = f'vemoclap_slot_errors{{model="vemoclap"}} {errors}\n'
        text = f"{METRICS}# TYPE vemoclap_slot_errors counter\n{text}"
        metrics = None if errors is None else parse_metrics(text)
        history.add(state(at_s, vemoclap=Counters(9)).with_metrics(metrics, history.latest))

    history = History()
    read(0, errors_before)
    read(2, 5)
    read(4, None)
    read(6, 7)
    found = headline(history.recent(60), parse_metrics(METRICS))
    assert found.failures == 2


def test_a_row_has_no_numbers_where_there_is_nothing_to_tell() -> None:
    models = (model("fusion"), model("captioner", Readiness.LEFT_OUT))
    fusion, captioner = model_rows(state(0, *models, fusion=Counters()), {}, parse_metrics(METRICS))
    assert (fusion["waiting"], fusion["requests"], fusion["batch"]) == (0, 0, None)
    assert (captioner["waiting"], captioner["requests"]) == (None, None)
    assert captioner["state"] == "not in this profile"
    assert json.dumps([fusion, captioner])
