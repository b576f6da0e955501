"""Who gets in: without a certificate or a token nothing but health answers, with them everything.

A real Triton, behind a real nginx with the gateway's own configuration; and one with mutual TLS.
"""

import asyncio
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import grpc
import psutil
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2

from tests.gateway import TOKEN, Certificates, Gateway, running_gateway
from tests.launching import Launched, launched
from vemoclap_client import AsyncEmotionClient, Credentials, EmotionClient, EmotionResult
from vemoclap_client.channels import connection, open_channel
from vemoclap_client.errors import (
    AccessDeniedError,
    CertificateError,
    RequestRejectedError,
    ServerOverloadedError,
)
from vemoclap_client.server_errors import server_error

SERVICE = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
HEALTH = [
    *(f"/{SERVICE.full_name}/{name}" for name in ("ServerLive", "ServerReady")),
    "/grpc.health.v1.Health/Check",
]
METHODS = [
    *(f"/{SERVICE.full_name}/{method.name}" for method in SERVICE.methods),
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/inference.GRPCInferenceService/NoSuchMethod",
]
OFFERED = [f"/{SERVICE.full_name}/Model{name}" for name in ("Ready", "Infer", "StreamInfer")]


@pytest.fixture(scope="module")
def gateway(server: Launched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway"), server) as running:
        yield running


def statuses(address: str, credentials: Credentials) -> dict[str, grpc.StatusCode]:
    """What each method of Triton's gRPC responds to an empty request."""
    found = {}
    with open_channel(address, credentials) as channel:
        for method in METHODS:
            call = channel.stream_stream(method)(iter([b""]), timeout=20)
            with suppress(grpc.RpcError):
                list(call)
            found[method] = call.code()
    return found


@pytest.mark.parametrize("token", [None, "another", TOKEN[:-1], f"{TOKEN}0"])
def test_without_a_token_nothing_but_health_answers_over_grpc(
    gateway: Gateway, token: str | None
) -> None:
    found = statuses(gateway.address, gateway.credentials(token))
    assert len(found) > 15
    assert {method for method, code in found.items() if code is grpc.StatusCode.OK} == set(HEALTH)
    refused = {code for method, code in found.items() if method not in HEALTH}
    assert refused == {grpc.StatusCode.UNAUTHENTICATED}


def test_a_token_opens_inference_and_nothing_more(gateway: Gateway) -> None:
    found = statuses(gateway.address, gateway.credentials(TOKEN))
    denied = grpc.StatusCode.PERMISSION_DENIED
    assert {method for method, code in found.items() if code is not denied} == {*HEALTH, *OFFERED}


PATHS = {
    "/v2": 403,
    "/v2/models/vemoclap/ready": 200,
    "/v2/models/vemoclap": 403,
    "/v2/models/vemoclap/config": 403,
    "/v2/models/vemoclap/stats": 403,
    "/v2/models/stats": 403,
    "/v2/repository/index": 403,
    "/v2/systemsharedmemory/status": 403,
    "/v2/trace/setting": 403,
    "/v2/logging": 403,
    "/v2/health/live/../../logging": 403,
    "/v2/health/%2e%2e/logging": 403,
    "//v2/logging": 403,
    "/": 502,  # There is no app in this test.
    "/clips/1/clip": 502,
}
"""Path -> the status with a token."""


@pytest.mark.parametrize("path", PATHS)
def test_without_a_token_nothing_but_health_answers_over_http(gateway: Gateway, path: str) -> None:
    for token in (None, "another"):
        assert gateway.get(path, token)[0] == 401
    assert gateway.get(path, TOKEN)[0] == PATHS[path]


def test_inference_over_http_needs_a_token(gateway: Gateway) -> None:
    lengths = [
        {"name": f"{modality}_LENGTH", "datatype": "INT32", "shape": [1, 1], "data": [number]}
        for number, modality in enumerate(("AUDIO", "FACE", "SPEECH", "TEXT"))
    ]
    path, body = "/v2/models/length_collector/infer", json.dumps({"inputs": lengths})
    assert gateway.get(path, None, body=body)[0] == 401
    status, text = gateway.get(path, TOKEN, body=body)
    assert (status, json.loads(text)["outputs"][0]["data"]) == (200, [16, 0, 1, 2, 3])


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
def test_health_needs_no_token(gateway: Gateway, path: str) -> None:
    assert gateway.get(path)[0] == 200


def test_clients_say_that_the_token_is_missing(gateway: Gateway, samples: Path) -> None:
    clip = samples / "title_card.mp4"
    for token in (None, "another"):
        with EmotionClient(gateway.address, credentials=gateway.credentials(token)) as client:
            for call in (client.classify, client.timeline, lambda clip: list(client.stream(clip))):
                with pytest.raises(AccessDeniedError, match="VEMOCLAP_TOKEN"):
                    call(clip)


async def use_asynchronously(address: str, credentials: Credentials, clip: Path) -> EmotionResult:
    async with AsyncEmotionClient(address, credentials=credentials) as client:
        *_, last = [event async for event in client.stream(clip)]
        assert isinstance(last, EmotionResult)
        return last


def everything_works(address: str, credentials: Credentials, clip: Path) -> EmotionResult:
    """Classifies, streams and makes a timeline, blocking and with asyncio."""
    with EmotionClient(address, credentials=credentials) as client:
        result = client.classify(clip)
        *_, last = client.stream(clip)
        assert isinstance(last, EmotionResult)
        assert len(client.timeline(clip, 4, 4).windows) > 1
    again = asyncio.run(use_asynchronously(address, credentials, clip))
    for other in (last, again):
        assert other.probabilities == pytest.approx(result.probabilities, abs=1e-4)
    return result


def test_with_a_token_everything_works(
    gateway: Gateway, client: EmotionClient, samples: Path
) -> None:
    clip = samples / "title_card.mp4"
    result = everything_works(gateway.address, gateway.credentials(TOKEN), clip)
    direct = client.classify(clip)
    assert result.probabilities == pytest.approx(direct.probabilities, abs=1e-4)


def run_vemoclap(
    gateway: Gateway, token: str, *arguments: str | Path
) -> subprocess.CompletedProcess[str]:
    """The command, with the token in a file."""
    file = gateway.folder / "token"
    file.write_text(f"{token}\n")
    command = [sys.executable, "-m", "vemoclap_client.cli.main", *arguments]
    command += ["--url", gateway.address, "--tls-root", gateway.certificates.root]
    command += ["--token-file", file]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_takes_a_token_and_no_log_has_it(gateway: Gateway, samples: Path) -> None:
    clip = samples / "title_card.mp4"
    done = run_vemoclap(gateway, TOKEN, "classify", clip, "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["probabilities"]
    wrong = run_vemoclap(gateway, "no-such-token", "classify", clip)
    assert wrong.returncode == AccessDeniedError.exit_code == 28
    logs = gateway.logs()
    assert '"client":"alice","route":"grpc ModelInfer","status":200,"grpc_status":"0"' in logs
    for written in (logs, done.stdout + done.stderr, wrong.stdout + wrong.stderr):
        assert TOKEN not in written
        assert "no-such-token" not in written
    assert "title_card" not in logs


def test_too_many_requests_of_one_token_are_busy(server: Launched, tmp_path: Path) -> None:
    few = {"rate=50r/s": "rate=1r/m", "burst=200": "burst=1"}
    with running_gateway(tmp_path, server, changes=few) as gateway:
        credentials = gateway.credentials(TOKEN)
        # An EmotionClient would ask again.
        with triton.InferenceServerClient(**connection(gateway.address, credentials)) as client:
            assert client.is_model_ready("vemoclap")
            assert client.is_model_ready("vemoclap")
            with pytest.raises(triton.InferenceServerException) as caught:
                client.is_model_ready("vemoclap")
        error = server_error(caught.value, gateway.address, 1, connected=True)
        assert isinstance(error, ServerOverloadedError)
        assert error.retry_after_s == 1
        for path in ("/v2/models/vemoclap/ready", "/", "/api/v1/clips"):
            assert gateway.get(path, TOKEN)[0] == 429, path
        assert gateway.get("/v2/health/live")[0] == 200


def test_a_request_that_is_too_large_is_refused(
    server: Launched, tmp_path: Path, samples: Path
) -> None:
    small = {"client_max_body_size 128m": "client_max_body_size 100k"}
    with (
        running_gateway(tmp_path, server, changes=small) as gateway,
        EmotionClient(gateway.address, credentials=gateway.credentials(TOKEN)) as client,
        pytest.raises(RequestRejectedError, match="larger than the gateway allows"),
    ):
        client.classify(samples / "title_card.mp4")


CLOSED = {
    "/v2/repository/index": b"{}",
    "/v2/trace/setting": None,
    "/v2/logging": None,
    "/v2/systemsharedmemory/status": None,
    "/v2/cudasharedmemory/status": None,
}
"""What the launcher alone may use of Triton's HTTP, and a request's body."""


@pytest.mark.parametrize("path", CLOSED)
def test_the_launcher_alone_uses_what_changes_the_server(server: Launched, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{server.http}{path}", data=CLOSED[path])
    with caught.value as error:
        assert error.code == 403


def test_so_over_grpc(server: Launched) -> None:
    with triton.InferenceServerClient(**connection(server.url, Credentials())) as client:
        for call in (
            client.get_model_repository_index,
            client.get_trace_settings,
            client.get_log_settings,
            client.get_system_shared_memory_status,
            client.get_cuda_shared_memory_status,
        ):
            with pytest.raises(triton.InferenceServerException, match="restricted"):
                call()
        # The app's Service page reads these.
        assert client.get_inference_statistics().model_stats
        assert client.get_model_config("vemoclap").config.name == "vemoclap"
        assert client.get_server_metadata().name == "triton"


def test_mutual_tls(tmp_path: Path, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificates = Certificates(tmp_path)
    own = certificates.credentials("client")
    for name, value in own.to_environment().items():
        monkeypatch.setenv(name, value)  # The launcher is a client, too.
    files = {
        "--grpc-server-cert": certificates.file("server"),
        "--grpc-server-key": tmp_path / "server.key",
        "--grpc-root-cert": certificates.root,
    }
    arguments = [text for pair in files.items() for text in pair]
    with launched(tmp_path, ["--host", "0.0.0.0", *arguments]) as server:
        address = f"127.0.0.1:{server.ready['grpc_port']}"
        others = {
            "no encryption": Credentials(),
            "no certificate": certificates.credentials(),
            "another authority's": certificates.credentials("stranger"),
            "not the server's authority": replace(own, root=certificates.file("other")),
            "another host": replace(own, name="elsewhere.test"),
        }
        for credentials in others.values():
            with (
                EmotionClient(address, credentials=credentials) as client,
                pytest.raises(CertificateError, match="--tls-"),
            ):
                client.check_ready()
            assert set(statuses(address, credentials).values()) == {grpc.StatusCode.UNAVAILABLE}
        everything_works(address, own, samples / "title_card.mp4")
        assert_http_is_local(server)


def assert_http_is_local(server: Launched) -> None:
    listening = {
        found.laddr.port: found.laddr.ip.removeprefix("::ffff:")
        for found in psutil.Process(server.triton_pid).net_connections()
        if found.status == psutil.CONN_LISTEN
    }
    assert (
        listening[server.ready["http_port"]]
        == listening[server.ready["metrics_port"]]
        == "127.0.0.1"
    )
    assert listening[server.ready["grpc_port"]] in ("0.0.0.0", "::")
