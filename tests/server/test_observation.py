"""Traces, request ids, logs and metrics of a real server, and what is made of them."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.clips import Tone, write_clip
from tests.launching import PROJECT, SERVER_PYTHON, Launched, launched
from tests.requiring import require
from tests.trace_receiver import ReceivedSpan, Receiver, receiving
from vemoclap_client.contract import ENSEMBLE, STREAM

SECRET = "secret-of-the-receiver"
SLOTS_OF_STREAM = {"step image_encoder", "step face_analyzer", "step fusion"}
CALLS = ["classify", "stream", "timeline", "async-classify", "async-stream", "async-timeline"]


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
        environment.setenv("VEMOCLAP_LOG_FORMAT", "json")
        with launched(tmp_path_factory.mktemp("observed")) as running:
            yield running


@pytest.fixture(scope="module")
def traced(
    observed: Launched, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Receiver:
    """The receiver, once a program has called the server in every way."""
    folder = tmp_path_factory.mktemp("traced")
    clip = write_clip(folder / "holiday.mp4", seconds=2, sound=Tone())
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        command = [sys.executable, "-m", "tests.traced_calls", observed.url, str(clip)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for request_id in CALLS:
        model = {"classify": ENSEMBLE, "stream": STREAM, "timeline": "vemoclap_window"}
        receiver.wait_for(model[request_id.removeprefix("async-")], request_id)
    return receiver


def ancestors(receiver: Receiver, span: ReceivedSpan) -> list[str]:
    """The names of the spans that a span is a part of, from the innermost on."""
    names = []
    while parent := receiver.by_id(span.parent_id):
        assert parent.trace_id == span.trace_id
        names.append(parent.name)
        span = parent
    return names


@pytest.mark.parametrize("request_id", CALLS)
def test_a_clip_is_one_trace_from_the_client_to_the_slots(
    request_id: str, traced: Receiver
) -> None:
    call = request_id.removeprefix("async-")
    spans = traced.with_request(request_id)
    (root,) = (span for span in spans if span.name == f"vemoclap {call}")
    assert {span.trace_id for span in spans} == {root.trace_id}
    assert {span.service for span in spans} == {"test", "vemoclap-server"}
    if call != "timeline":
        (decode,) = (span for span in spans if span.name == "decode")
        assert decode.parent_id == root.span_id
    tritons = [span for span in spans if span.service == "vemoclap-server"]
    assert len(tritons) > 1
    for span in tritons:
        above = ancestors(traced, span)
        # InferRequest is Triton's own span of a request that came from outside.
        assert above[above.index("InferRequest") :][:3] == ["InferRequest", "send", root.name]
