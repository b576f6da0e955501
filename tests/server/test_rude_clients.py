"""Clients that vanish in the middle, or do not read what they asked for: others are served."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc

from server.probe import probe_clip
from tests.benchmark.processes import memory_mb
from tests.launching import Launched, wait_until
from vemoclap_client import EmotionClient, EmotionResult
from vemoclap_client.channels import channel_options
from vemoclap_client.contract import ENTRY, STEP, STREAM

STREAMS_AT_ONCE = 6
"""Half of what a server on one processor admits, and more."""
UNREAD_REQUESTS = 8
MOST_GROWTH_MB = 600.0
"""Of the server, by 160 such requests; it grew by 20 MB in eight that were read, too."""
RESPONSES_AT_MOST_BYTES = 200_000
"""To one request, of a clip in which nothing is found: what a request costs the server if nobody
reads them."""
ENTRY_BYTES = ENTRY.encode()

CLIENT = """
import sys, threading
from vemoclap_client import EmotionClient
url, video, kind, count = sys.argv[1:]
def work():
    client = EmotionClient(url)
    print("started", flush=True)
    if kind == "classify":
        client.classify(video)
    for event in client.stream(video):
        print(type(event).__name__, flush=True)
threads = [threading.Thread(target=work) for _ in range(int(count))]
for thread in threads:
    thread.start()
"""


def vanish(server: Launched, video: Path, kind: str, count: int, once_it_prints: str) -> None:
    """Starts a client process, and kills it as soon as all its threads have printed a line."""
    command = [sys.executable, "-c", CLIENT, server.url, str(video), kind, str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout
        seen = 0
        while seen < count:
            line = client.stdout.readline()
            assert line, "it ended by itself"
            seen += once_it_prints in line
        if kind == "classify":
            before = begun(server)
            wait_until(lambda: begun(server) > before)
        client.kill()


def begun(server: Launched) -> int:
    """How often the ensemble's first step has run."""
    return int(server.statistics("frame_preprocessor")["inference_count"])


def streamed(client: EmotionClient, video: Path) -> EmotionResult:
    *_, last = client.stream(video)
    assert isinstance(last, EmotionResult)
    return last


def test_clients_that_vanish_in_the_middle_take_nothing_from_others(
    server: Launched, client: EmotionClient, samples: Path
) -> None:
    video = samples / "title_card.mp4"
    expected = client.classify(video).probabilities
    vanish(server, video, "classify", 1, "started")
    # If each kept its place, few would be left.
    vanish(server, video, "stream", STREAMS_AT_ONCE, "Evidence")
    assert client.classify(video).probabilities == expected
    assert streamed(client, video).probabilities == expected


def probes() -> Iterator[service_pb2.ModelInferRequest]:
    """Requests to the stream."""
    for _ in range(UNREAD_REQUESTS):
        request = service_pb2.ModelInferRequest(model_name=STREAM)
        for name, array in probe_clip().items():
            datatype = "UINT8" if array.dtype == "uint8" else "FP32"
            request.inputs.add(name=name, datatype=datatype, shape=array.shape)
            request.raw_input_contents.append(array.tobytes())
        yield request


def last_responses(responses: Iterator[service_pb2.ModelStreamInferResponse]) -> Iterator[int]:
    """The sizes of responses, until all requests have had their last one."""
    ended = 0
    while ended < UNREAD_REQUESTS:
        message = next(responses)
        assert not message.error_message
        ended += triton.InferResult(message.infer_response).as_numpy(STEP)[0, 0] == ENTRY_BYTES
        yield message.ByteSize()


def unread(server: Launched, stub: service_pb2_grpc.GRPCInferenceServiceStub) -> Any:
    """A call whose responses have all been sent, and none of them read."""
    computed = int(server.statistics("answer_writer")["inference_count"])
    call = stub.ModelStreamInfer(probes())
    last = computed + UNREAD_REQUESTS
    wait_until(lambda: int(server.statistics("answer_writer")["inference_count"]) >= last)
    return call


def test_a_client_that_reads_no_response_stops_nobody_and_costs_what_they_are_long(
    server: Launched, client: EmotionClient, samples: Path
) -> None:
    video = samples / "title_card.mp4"
    expected = client.classify(video).probabilities
    with grpc.insecure_channel(server.url, channel_options(server.url)) as channel:
        call = unread(server, service_pb2_grpc.GRPCInferenceServiceStub(channel))
        assert streamed(client, video).probabilities == expected
        assert client.classify(video).probabilities == expected
        # They are still there, and all that the server keeps for them.
        size_bytes = sum(last_responses(call))
        assert 0 < size_bytes < UNREAD_REQUESTS * RESPONSES_AT_MOST_BYTES


@pytest.mark.soak
def test_many_clients_that_read_no_response(server: Launched) -> None:
    with grpc.insecure_channel(server.url, channel_options(server.url)) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for _ in range(6):
            # As many at once take memory that the server then keeps.
            list(last_responses(stub.ModelStreamInfer(probes())))
        before_mb = memory_mb(server.triton_pid)["server"]
        calls = [unread(server, stub) for _ in range(20)]
        grown_mb = memory_mb(server.triton_pid)["server"] - before_mb
        print(f"{len(calls) * UNREAD_REQUESTS} requests unread, {grown_mb:+.0f} MB")
        assert grown_mb < MOST_GROWTH_MB
