"""Several servers are asked in turn, and one that is not there is left out: gRPC servers of this
process, of which each counts its requests."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.launching import free_port, wait_until
from vemoclap_client import EmotionClient
from vemoclap_client.channels import channel_target, connection
from vemoclap_client.errors import ServerUnavailableError

REQUESTS = 20


class Counting(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Says that every model is ready, and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802, gRPC calls it so
        self.count += 1
        return service_pb2.ModelReadyResponse(ready=True)


@dataclass(frozen=True)
class Running:
    server: Any
    port: int
    counting: Counting


@contextmanager
def running() -> Iterator[Running]:
    server = grpc.server(ThreadPoolExecutor(2))
    counting = Counting()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(counting, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield Running(server, port, counting)
    finally:
        server.stop(None).wait()


@pytest.fixture
def two() -> Iterator[tuple[Running, Running]]:
    with ExitStack() as stack:
        yield stack.enter_context(running()), stack.enter_context(running())


def is_ready(client: triton.InferenceServerClient) -> bool:
    return bool(client.is_model_ready("any", client_timeout=20))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_two_servers_are_asked_in_turn(two: tuple[Running, Running], host: str) -> None:
    def counts() -> list[int]:
        return [each.counting.count for each in two]

    url = f"127.0.0.1:{two[0].port}, {host}:{two[1].port}"
    with triton.InferenceServerClient(**connection(url)) as client:
        # The first that is connected is asked alone until the other is.
        wait_until(lambda: is_ready(client) and all(counts()))
        before = counts()
        assert all(is_ready(client) for _ in range(REQUESTS))
    counted = [after - earlier for earlier, after in zip(before, counts(), strict=True)]
    assert sum(counted) == REQUESTS
    # Not exactly half where `localhost` is ::1, too: each refused attempt begins the turns anew.
    assert min(counted) >= REQUESTS // 4


def test_what_is_not_there_or_not_known_is_left_out(two: tuple[Running, Running]) -> None:
    url = f"127.0.0.1:{free_port()},no-such-host.invalid:1,127.0.0.1:{two[0].port}"
    with triton.InferenceServerClient(**connection(url)) as client:
        assert all(is_ready(client) for _ in range(REQUESTS))
    assert two[0].counting.count == REQUESTS


def test_the_requests_of_a_server_that_stops_go_to_the_other(two: tuple[Running, Running]) -> None:
    with EmotionClient(",".join(f"127.0.0.1:{each.port}" for each in two)) as client:
        client.check_ready()
        two[0].server.stop(None).wait()
        for _ in range(REQUESTS):
            client.check_ready()


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("gpu.example:8001", "gpu.example:8001"),
        ("10.0.0.1:1, 10.0.0.2:2", "ipv4:10.0.0.1:1,10.0.0.2:2"),
        ("[fd00::1]:1,10.0.0.2:2", "ipv6:[fd00::1]:1,[::ffff:10.0.0.2]:2"),
    ],
)
def test_what_grpc_connects_to(url: str, target: str) -> None:
    assert channel_target(url) == target


@pytest.mark.parametrize("url", ["no-such-host.invalid:1,neither.invalid:2", "a..b:1,c\0:2"])
def test_a_list_of_names_that_are_all_unknown_is_an_error(url: str) -> None:
    with (
        EmotionClient(url) as client,
        pytest.raises(ServerUnavailableError, match="no host of"),
    ):
        client.check_ready()


@pytest.mark.parametrize(
    "url",
    ["a:1,b", "a:1,,b:2", "http://a:1,b:2", "a:1,b:0", "a:1,b:65536", f"a:1,b:{'9' * 5000}"],
    ids=lambda url: url[:12],
)
def test_a_list_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ServerUnavailableError, match="host:port"):
        EmotionClient(url)
