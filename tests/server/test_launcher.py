"""`python -m server`: starts, says why when it cannot, and leaves nothing behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import tritonclient.grpc as triton

from server import errors
from tests.launching import (
    FREE_PORTS,
    PROJECT,
    SERVER_PYTHON,
    Launched,
    free_port,
    launched,
    run,
    spawn,
    wait_until,
)
from vemoclap_client import EmotionClient, EmotionResult, Evidence
from vemoclap_client.contract import MODALITIES
from vemoclap_client.errors import ServerNotReadyError, ServerUnavailableError

MODELS = PROJECT / "model_repository"
LIGHT_SLOTS = ("frame_preprocessor", "length_collector")


@pytest.fixture
def light(tmp_path: Path) -> Path:
    """A repository of two slots without weights, which is up in a second."""
    repository = tmp_path / "models"
    for slot in LIGHT_SLOTS:
        shutil.copytree(MODELS / slot, repository / slot)
    return repository


def regions_of(launcher_pid: int) -> list[Path]:
    return list(Path("/dev/shm").glob(f"vemoclap_{launcher_pid}_*_*"))


def assert_nothing_is_left(server: Launched, children: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    wait_until(lambda: regions_of(server.launcher.pid) == [], timeout_s=20)


def test_it_binds_to_the_loopback_address_only(server: Launched) -> None:
    connections = psutil.Process(server.triton_pid).net_connections()
    listening = [c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN]
    assert len(listening) >= 3
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_it_serves_on_an_address_of_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    program = (
        "import os, urllib.request, tritonclient.grpc as triton\n"
        "assert triton.InferenceServerClient(os.environ['VEMOCLAP_URL']).is_server_ready()\n"
        "urllib.request.urlopen(os.environ['VEMOCLAP_METRICS_URL']).close()"
    )
    finished = run(*FREE_PORTS, "--host", "::1", "--", sys.executable, "-c", program)
    assert finished.returncode == 0, finished.stderr


def test_only_the_launcher_may_load_models(server: Launched) -> None:
    request = urllib.request.Request(
        f"{server.http}/v2/repository/models/fusion/unload", data=b"{}", method="POST"
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 403
    caught.value.close()
    with (
        triton.InferenceServerClient(server.url) as connection,
        pytest.raises(triton.InferenceServerException, match="restricted"),
    ):
        connection.unload_model("fusion")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_is_clean(stop: signal.Signals, light: Path, tmp_path: Path) -> None:
    with launched(tmp_path, ["--model-repository", light]) as server:
        children = psutil.Process(server.launcher.pid).children(recursive=True)
        assert len(children) > len(LIGHT_SLOTS)
        assert regions_of(server.launcher.pid)
        server.launcher.send_signal(stop)
        assert server.launcher.wait(30) == 0
        assert_nothing_is_left(server, children)
        assert not (tmp_path / "ready.json").exists()


ENSEMBLE = """
name: "collected"
platform: "ensemble"
max_batch_size: 8
input [ %s ]
output [ { name: "LENGTHS", data_type: TYPE_INT32, dims: [ 5 ] } ]
ensemble_scheduling { step [ {
  model_name: "length_collector"
  model_version: -1
  %s
  output_map { key: "LENGTHS" value: "LENGTHS" }
} ] }
"""


def test_each_slot_is_loaded_once_also_when_python_writes_its_bytecode(light: Path) -> None:
    shutil.rmtree(light / "length_collector" / "1" / "__pycache__", ignore_errors=True)
    names = [f"{modality}_LENGTH" for modality in ("AUDIO", "FACE", "SPEECH", "TEXT")]
    inputs = ", ".join(
        f'{{ name: "{name}", data_type: TYPE_INT32, dims: [ 1 ] }}' for name in names
    )
    maps = " ".join(f'input_map {{ key: "{name}" value: "{name}" }}' for name in names)
    (light / "collected" / "1").mkdir(parents=True)
    (light / "collected" / "config.pbtxt").write_text(ENSEMBLE % (inputs, maps))
    finished = run("--model-repository", light, *FREE_PORTS, "--verbose", "--", "true")
    assert finished.returncode == 0, finished.stderr
    log = finished.stdout + finished.stderr
    for slot in ("collected", *LIGHT_SLOTS):
        assert log.count(f"successfully loaded '{slot}'") == 1, slot


def test_a_killed_launcher_takes_triton_with_it(light: Path, tmp_path: Path) -> None:
    with launched(tmp_path, ["--model-repository", light]) as server:
        children = psutil.Process(server.launcher.pid).children(recursive=True)
        server.launcher.kill()
        assert_nothing_is_left(server, children)


@pytest.mark.soak
def test_a_killed_launcher_takes_a_triton_with_it_that_does_not_end(
    light: Path, tmp_path: Path
) -> None:
    """Stopped, as one whose end hangs."""
    with launched(tmp_path, ["--model-repository", light]) as server:
        triton = psutil.Process(server.triton_pid)
        triton.suspend()
        server.launcher.kill()
        _, alive = psutil.wait_procs([triton, *triton.children()], timeout=60)
        assert alive == []


def test_a_command_runs_with_the_servers_address_and_gives_its_exit_code(light: Path) -> None:
    script = 'test -n "$VEMOCLAP_URL" && echo "at $VEMOCLAP_URL" && exit 7'
    finished = run("--model-repository", light, *FREE_PORTS, "--", "sh", "-c", script)
    assert "at 127.0.0.1:" in finished.stdout
    assert finished.returncode == 7


ANSWERS = """
import os, signal, sys, time, urllib.request, psutil
def answers():
    try:
        return bool(urllib.request.urlopen(os.environ["VEMOCLAP_METRICS_URL"]).read())
    except OSError:
        return False
"""


def test_a_server_that_dies_under_a_command_is_started_again(light: Path) -> None:
    script = f"""{ANSWERS}
triton = next(c for c in psutil.Process(os.getppid()).children() if c.pid != os.getpid())
triton.kill()
triton.wait()
while not answers():
    time.sleep(0.05)
os.kill(os.getpid(), 9)
"""
    command = [SERVER_PYTHON, "-c", script]
    finished = run("--model-repository", light, *FREE_PORTS, "--", *command)
    assert "starting again" in finished.stderr
    assert finished.returncode == 128 + signal.SIGKILL


def test_a_command_is_told_to_stop_while_the_server_is_still_there(light: Path) -> None:
    script = f"""{ANSWERS}
def stop(*_):
    print("it answers" if answers() else "it is gone", flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, stop)
print("listening", flush=True)
while True:
    signal.pause()
"""
    launcher = spawn(
        "--model-repository", light, *FREE_PORTS, "--", SERVER_PYTHON, "-u", "-c", script
    )
    assert launcher.stdout is not None
    while "listening" not in (line := launcher.stdout.readline()):
        assert line, "it ended"
    launcher.send_signal(signal.SIGINT)
    assert "it answers" in launcher.communicate(timeout=60)[0]
    assert launcher.returncode == 3


def test_a_taken_port_is_named(light: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        finished = run("--model-repository", light, *FREE_PORTS, "--grpc-port", str(port))
    assert finished.returncode == errors.PortInUseError.exit_code
    assert f"127.0.0.1:{port} for grpc" in finished.stderr
    assert "--grpc-port 0" in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        (["--grpc-port", "99999"], errors.UsageError, "99999"),
        (["--grpc-port", "8003", "--http-port", "8003"], errors.PortInUseError, "8003"),
        (["--variant", "hopper"], errors.UsageError, "variant 'hopper'; there are: other"),
        (["--ready-file", "/no/such/folder/ready.json"], errors.UsageError, "/no/such/folder"),
        (["--health-file", ""], errors.UsageError, "is a folder"),
        (["--", "/no/such/command"], errors.UsageError, "/no/such/command"),
    ],
)
def test_what_cannot_work_is_said_before_the_start(
    arguments: list[str], error: type[errors.ServerStartError], named: str, light: Path
) -> None:
    with_variant(light, "")
    finished = run("--model-repository", light, *FREE_PORTS, *arguments)
    assert finished.returncode == error.exit_code
    assert named in finished.stderr
    assert "ready" not in finished.stdout


def test_a_configuration_that_is_none_is_named(light: Path) -> None:
    config = light / "length_collector" / "config.pbtxt"
    config.write_text("this is not a configuration {")
    finished = run("--model-repository", light, *FREE_PORTS)
    assert finished.returncode == errors.ModelLoadError.exit_code
    assert str(config) in finished.stderr


def test_files_of_a_killed_launcher_are_removed_by_the_next(light: Path, tmp_path: Path) -> None:
    temporary, name = tmp_path / "tmp", "vemoclap_1_killed"
    (temporary / f"{name}_files").mkdir(parents=True)
    other = temporary / "vemoclap-12345_xy"
    other.mkdir()
    region = Path(f"/dev/shm/{name}_region")
    for path in (region, Path(f"/dev/shm/{name}.lock"), temporary / f"{name}.lock"):
        path.touch()
    arguments = ["--model-repository", light, *FREE_PORTS, "--", "true"]
    finished = run(*arguments, environment={"TMPDIR": str(temporary)})
    assert finished.returncode == 0, finished.stderr
    assert not region.exists()
    assert list(temporary.iterdir()) == [other]


def test_missing_weights_are_named_with_the_command_that_brings_them(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    for slot in ("fusion", "image_encoder"):
        (repository / slot).mkdir(parents=True)
        shutil.copy(MODELS / slot / "config.pbtxt", repository / slot)
    finished = run("--model-repository", repository, *FREE_PORTS)
    assert finished.returncode == errors.WeightsMissingError.exit_code
    assert "fusion, image_encoder" in finished.stderr
    assert "make export" in finished.stderr


def with_variant(light: Path, text: str) -> None:
    config = light / "length_collector" / "config.pbtxt"
    variant = light / "length_collector" / "configs" / "other.pbtxt"
    variant.parent.mkdir(exist_ok=True)
    variant.write_text(config.read_text() + text)


def test_a_variant_is_what_triton_loads(light: Path) -> None:
    with_variant(light, 'parameters { key: "flavour" value: { string_value: "other" } }')
    url = "http://127.0.0.1:$PORT/v2/models/length_collector/config"
    port = str(free_port())
    asks = f"import urllib.request as r; print(r.urlopen('{url}').read())".replace("$PORT", port)
    told = [
        run(
            *("--model-repository", light, *FREE_PORTS, "--http-port", port, *variant),
            *("--", sys.executable, "-c", asks),
        ).stdout
        for variant in ([], ["--variant", "other"])
    ]
    assert ["flavour" in text for text in told] == [False, True]


def test_an_optional_slot_is_left_out_until_it_is_filled(light: Path) -> None:
    config = light / "length_collector" / "config.pbtxt"
    config.write_text(
        config.read_text() + 'parameters { key: "optional" value: { string_value: "true" } }'
    )
    arguments = ["--model-repository", light, *FREE_PORTS, "--verbose", "--", "true"]
    left_out = run(*arguments)
    (light / "length_collector" / "1" / "export.json").write_text("{}")
    loaded = run(*arguments)
    for finished, expected in ((left_out, 0), (loaded, 1)):
        assert finished.returncode == 0
        log = finished.stdout + finished.stderr
        assert log.count("successfully loaded 'length_collector'") == expected


def test_slots_of_different_origin_are_not_served_together(light: Path) -> None:
    origins = {"length_collector": "pretrained", "frame_preprocessor": "random, seed 0"}
    for slot, weights in origins.items():
        stamp = {"stamp": {"profile": "paper", "weights": weights}}
        (light / slot / "1" / "export.json").write_text(json.dumps(stamp))
    finished = run("--model-repository", light, *FREE_PORTS, "--", "true")
    assert finished.returncode == errors.ProfilesMixedError.exit_code
    assert "profile paper: length_collector" in finished.stderr
    assert "profile paper, random weights: frame_preprocessor" in finished.stderr


def test_a_broken_model_is_named_with_its_reason(light: Path) -> None:
    model = light / "length_collector" / "1" / "model.py"
    model.write_text("raise ValueError('this model is broken')\n")
    finished = run("--model-repository", light, *FREE_PORTS)
    assert finished.returncode == errors.ModelLoadError.exit_code
    assert "length_collector: " in finished.stderr
    assert "this model is broken" in finished.stderr
    assert "frame_preprocessor: " not in finished.stderr


def test_without_triton_it_says_how_to_get_it() -> None:
    # An environment without the wheel: the tests' own.
    finished = subprocess.run(
        [sys.executable, "-m", "server"],
        cwd=PROJECT,
        env={**os.environ, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == errors.TritonNotFoundError.exit_code
    assert "make setup" in finished.stderr


def test_a_tritonserver_on_path_is_preferred(light: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "tritonserver"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "E $@"\nexit 3\n')
    program.chmod(0o755)
    path = {"PATH": f"{program.parent}:/usr/bin:/bin"}
    finished = run("--model-repository", light, *FREE_PORTS, environment=path)
    assert finished.returncode == errors.ModelLoadError.exit_code
    assert "--model-repository=" in finished.stderr
    assert "--backend-directory" not in finished.stderr


def test_a_client_can_tell_a_loading_server_from_none(light: Path, tmp_path: Path) -> None:
    """And a command that was never run, since its server was stopped, is no success."""
    model, may_load = light / "length_collector" / "1" / "model.py", tmp_path / "may_load"
    waits = f"while not os.path.exists({str(may_load)!r}):\n    time.sleep(0.05)"
    model.write_text(f"import os, time\n{waits}\n{model.read_text()}")
    port = free_port()
    arguments = ["--model-repository", light, *FREE_PORTS, "--grpc-port", str(port)]
    launcher = spawn(*arguments, "--", "true")

    def answer() -> type[Exception] | None:
        with EmotionClient(f"127.0.0.1:{port}") as client:
            try:
                client.check_ready()
            except Exception as error:
                return type(error)
        return None

    try:
        seen: list[type[Exception] | None] = []
        wait_until(lambda: seen.append(answer()) or seen[-1] is not ServerUnavailableError)  # type: ignore[func-returns-value]
        assert seen[-1] is ServerNotReadyError
    finally:
        launcher.terminate()
        may_load.touch()
        launcher.communicate(timeout=60)
    assert launcher.returncode == 128 + signal.SIGINT


@pytest.mark.soak
def test_what_a_killed_server_loses_is_answered_by_the_next_one(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vemoclap_client._retrying.LOST_AT_MOST", 100)  # Of a busy machine.
    portrait = samples / "portrait.mp4"
    with (
        launched(tmp_path) as server,
        EmotionClient(server.url) as client,
        ThreadPoolExecutor() as pool,
    ):
        events = client.stream(portrait)
        begun = [next(events), next(events)]
        # The first step of the ensemble runs, or has run.
        asked = server.statistics("frame_preprocessor")["inference_count"]
        whole = pool.submit(client.classify, portrait)
        wait_until(lambda: server.statistics("frame_preprocessor")["inference_count"] > asked)
        os.kill(server.triton_pid, signal.SIGKILL)
        *evidence, streamed = [*begun, *events][1:]
        modalities = [event.modality for event in evidence if isinstance(event, Evidence)]
        assert sorted(modalities) == sorted(MODALITIES), "each came once"
        assert isinstance(streamed, EmotionResult)
        assert streamed.probabilities == pytest.approx(whole.result(120).probabilities, abs=1e-4)
