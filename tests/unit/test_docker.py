"""What docker/ says, checked without an engine: by linter, by schema and against the project."""

import ast
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server.__main__ import _parser as launcher
from server.address import Address
from server.health import READY, VALID_S, VARIABLE, HealthFile
from server.resources import SHARED_MEMORY_BYTES
from tests.docker_files import (
    COMPOSITIONS,
    DOCKER,
    DOCKERFILES,
    PROJECT,
    built_stage,
    compose,
    reaches_builder,
    server_arguments,
    stages,
    validate,
    values,
)
from tests.link_server import serve

HADOLINT = Path(sys.executable).with_name("hadolint")
PORTS = sorted(Address().ports.values())
each_dockerfile = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)


@pytest.fixture(params=COMPOSITIONS)
def composition(request: pytest.FixtureRequest) -> dict[str, Any]:
    return compose(*COMPOSITIONS[request.param])


@each_dockerfile
def test_hadolint_finds_nothing(path: Path) -> None:
    done = subprocess.run([HADOLINT, "--no-color", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@each_dockerfile
def test_base_images_are_pinned_by_tag(path: Path) -> None:
    for base, _, _ in stages(path):
        assert base == "scratch" or re.fullmatch(r"[\w./-]+:\d[\w.-]*", base), base


def project_files() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.splitlines() if (PROJECT / name).is_file()]


@each_dockerfile
def test_what_is_copied_is_in_the_project_and_reaches_the_builder(path: Path) -> None:
    names = {name for _, name, _ in stages(path)}
    for copied in (copied for _, _, steps in stages(path) for copied in values(steps, "COPY")):
        *sources, _ = shlex.split(copied)
        if sources[0].startswith("--from="):
            assert sources[0].removeprefix("--from=") in names
            continue
        for source in sources:
            inside = [name for name in project_files() if f"{name}/".startswith(f"{source}/")]
            assert inside, f"{path.name} copies {source}, which the project does not have"
            assert [name for name in inside if not reaches_builder(name)] == []


@pytest.mark.parametrize(
    "name",
    [
        ".git/config",
        ".venv/bin/python",
        "model_repository/text_encoder/1/model.onnx",
        "model_repository/speech_recognizer/1/whisper/model.bin",
        "model_repository/text_encoder/tokenizer.json",
        "server/__pycache__/process.cpython-311.pyc",
        "results/clip.json",
    ],
)
def test_neither_weights_nor_history_reach_the_builder(name: str) -> None:
    assert not reaches_builder(name)


@each_dockerfile
def test_images_run_as_an_ordinary_user(path: Path) -> None:
    # A number: Kubernetes' runAsNonRoot takes no name's word for it.
    users = values(stages(path)[-1][2], "USER")
    assert int(users[-1].split(":")[0]) > 0


def test_compose_files_are_valid(composition: dict[str, Any]) -> None:
    validate(composition)
    validate(compose("compose.gpu.yaml"))


def test_services_are_built_and_mounted_from_the_project(composition: dict[str, Any]) -> None:
    assert set(composition["services"]) == {"server", "app"}
    for service in composition["services"].values():
        assert (DOCKER / service["build"]["context"]).resolve() == PROJECT
        assert built_stage(service)
        for volume in (v for v in service.get("volumes", []) if v["type"] == "bind"):
            assert volume["read_only"]
            assert volume["source"] in ("../model_repository", "../samples")


def test_the_app_keeps_its_clips_in_a_volume_that_its_user_owns(
    composition: dict[str, Any],
) -> None:
    (volume,) = (v for v in composition["services"]["app"]["volumes"] if v["type"] == "volume")
    assert volume["source"] in composition["volumes"]
    steps = built_stage(composition["services"]["app"])
    user, group = values(steps, "USER")[0].split(":")
    owned = f"install --directory --owner {user} --group {group} {volume['target']}"
    assert owned in values(steps, "RUN")
    assert f"VEMOCLAP_APP_DATA={volume['target']}" in values(steps, "ENV")[-1].split()


def test_services_are_shut_in(composition: dict[str, Any]) -> None:
    for service in composition["services"].values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
        assert [mount.split(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
        assert not {"privileged", "network_mode", "ipc", "pid", "user"} & set(service)


def test_the_server_gets_the_memory_and_the_tmp_it_needs(composition: dict[str, Any]) -> None:
    service = composition["services"]["server"]
    assert int(service["shm_size"].removesuffix("gb")) * 2**30 >= SHARED_MEMORY_BYTES
    # Docker mounts a tmpfs noexec unless told otherwise; Triton's backends are loaded from there.
    assert "exec" in service["tmpfs"][0].split(":")[1].split(",")


def test_only_this_machine_reaches_the_ports(composition: dict[str, Any]) -> None:
    for name, ports in {"server": PORTS, "app": [8501]}.items():
        service = composition["services"][name]
        assert sorted(service["ports"]) == [f"127.0.0.1:{port}:{port}" for port in ports]
        assert sorted(map(int, values(built_stage(service), "EXPOSE")[0].split())) == ports


def test_the_launcher_takes_its_arguments(composition: dict[str, Any]) -> None:
    options = launcher().parse_args(server_arguments(composition["services"]["server"]))
    assert options.host == "0.0.0.0"
    found = Address(options.host, options.grpc_port, options.http_port, options.metrics_port)
    assert sorted(found.ports.values()) == PORTS


def test_the_server_image_serves_the_folder_that_is_mounted() -> None:
    service = compose(*COMPOSITIONS["gpu"])["services"]["server"]
    image_alone = {"build": service["build"]}
    for arguments in (server_arguments(service), server_arguments(image_alone)):
        assert str(launcher().parse_args(arguments).model_repository) == "/models"
    assert [volume["target"] for volume in service["volumes"]] == ["/models"]


def test_the_override_asks_for_a_gpu_and_serves_the_variant_for_it() -> None:
    service = compose(*COMPOSITIONS["gpu"])["services"]["server"]
    assert launcher().parse_args(server_arguments(service)).variant == "gpu"
    devices = service["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]


def health_check() -> Any:
    spec = importlib.util.spec_from_file_location("healthcheck", DOCKER / "healthcheck.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_health_is_what_the_launcher_last_saw(composition: dict[str, Any]) -> None:
    service = composition["services"]["server"]
    assert service["healthcheck"]["test"] == ["CMD", "python3", "docker/healthcheck.py"]
    assert "docker/healthcheck.py docker/" in values(built_stage(service), "COPY")
    variables = values(built_stage(service), "ENV")[-1].split()
    assert f"{VARIABLE}=/tmp/health.json" in variables
    assert health_check().HEALTH_FILE == VARIABLE
    assert int(service["healthcheck"]["timeout"].removesuffix("s")) > health_check().TIMEOUT_S


@pytest.mark.parametrize(
    ("state", "valid_for_s", "ready", "live"),
    [
        (READY, 0, 0, 0),
        ("the process of fusion_0_0 ended; starting again", 0, 1, 0),
        (READY, -2 * VALID_S, 1, 1),
    ],
)
def test_the_health_check_reads_what_the_launcher_writes(
    state: str,
    valid_for_s: float,
    ready: int,
    live: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "health.json"
    monkeypatch.setenv(VARIABLE, str(path))
    HealthFile(path).write(state, valid_for_s)
    assert health_check().main() == ready
    assert health_check().main("--live") == live


def test_without_a_launcher_nothing_is_ready_or_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "health.json"
    monkeypatch.setenv(VARIABLE, str(path))
    for content in (None, "", "[]", '{"state": "ready"}', '{"valid_until_s": "x"}'):
        if content is not None:
            path.write_text(content)
        assert (health_check().main(), health_check().main("--live")) == (1, 1)
    monkeypatch.delenv(VARIABLE)
    assert health_check().main("--live") == 1
    assert "no launcher runs" in capsys.readouterr().err


def test_the_health_check_starts_fast() -> None:
    """It runs every ten seconds: modules of the standard library alone, those of the file's top."""
    source = ast.parse((DOCKER / "healthcheck.py").read_text())
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name)
        for node in ast.walk(source)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {str(name).split(".")[0] for name in imported} <= set(sys.stdlib_module_names)


def test_the_health_check_tells_ready_from_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serve({"ready": ("text/plain", b"")}) as site:
        assert health_check().main(f"{site.address}/ready") == 0
        assert health_check().main(f"{site.address}/missing") == 1


def test_the_health_check_says_when_nothing_listens(capsys: pytest.CaptureFixture[str]) -> None:
    assert health_check().main("http://127.0.0.1:9/") == 1
    assert "http://127.0.0.1:9/" in capsys.readouterr().err
