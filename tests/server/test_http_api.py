"""The HTTP API on the real server: the commands of docs/http-api.md, and what they give."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.driving import RunningApp, running_app, stop
from tests.launching import PROJECT, Launched, wait_until
from tests.link_server import Site
from tests.webhook_receiver import SECRET, Receiver, receiving
from vemoclap_client import EmotionClient, FrameFormat
from vemoclap_client.formats.document import format_json

GUIDE = (PROJECT / "docs" / "http-api.md").read_text(encoding="utf-8")
TOOLS = ("curl", "deno")
HAS_GRPCURL = shutil.which("grpcurl") is not None
"""No registry of packages has it from its authors, so that no target here installs it."""


def blocks(language: str) -> list[str]:
    return [str(found) for found in re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture(scope="module")
def app(
    server: Launched, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    settings = {"VEMOCLAP_WEBHOOK_SECRET": SECRET, "VEMOCLAP_WEBHOOK_HOSTS": "127.0.0.1"}
    with running_app(tmp_path_factory.mktemp("app"), server, settings) as running:
        yield running


@pytest.fixture(scope="module")
def ran(
    app: RunningApp,
    server: Launched,
    site: Site,
    receiver: Receiver,
    samples: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, str]:
    """The folder in which the guide's commands ran, and what they printed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for tool in TOOLS:
        if shutil.which(tool, path=path) is None:
            pytest.skip(f"{tool} is missing: run `make setup`, or `apt-get install curl`")
    folder = tmp_path_factory.mktemp("guide")
    (folder / "samples").symlink_to(samples)
    (folder / ".venv").symlink_to(PROJECT / ".venv")
    shutil.copytree(
        PROJECT / "client/examples",
        folder / "client/examples",
        ignore=shutil.ignore_patterns("node_modules"),
    )
    commands = [block for block in blocks("sh") if HAS_GRPCURL or "grpcurl" not in block]
    script = "\n".join(["set -euo pipefail", *commands])
    for name, here in {
        "http://localhost:8501": app.url,
        "127.0.0.1:8001": server.url,
        "https://example.org/clip.mp4": f"{site.address}/clip.mp4",
        "https://example.org/finished": receiver.url,
    }.items():
        assert name in script
        script = script.replace(name, here)
    finished = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(PROJECT / "client")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return folder, finished.stdout


def test_the_result_is_that_of_the_command(
    ran: tuple[Path, str], client: EmotionClient, samples: Path
) -> None:
    clip = json.loads((ran[0] / "clip.json").read_text())
    result = client.classify(samples / "portrait.mp4", attention=True)
    expected = json.loads(format_json(result))
    differing = ("video", "timings_ms")
    assert {k: v for k, v in clip["result"].items() if k not in differing} == {
        k: v for k, v in expected.items() if k not in differing
    }
    assert clip["result"]["video"] == clip["name"] == "portrait.mp4"
    assert clip["state"] == "done"
    assert clip["timeline"]["windows"][-1]["end_s"] == expected["duration_s"]


def test_the_events_end_with_the_result(ran: tuple[Path, str]) -> None:
    folder, printed = ran
    names = re.findall(r"^event: (\w+)$", printed, re.MULTILINE)
    assert names[0] == "state" and names[-1] == "end"
    assert names.count("evidence") == 5
    assert names.index("decoded") < names.index("evidence") < names.index("result")
    result = re.search(r"^event: result\ndata: (.*)$", printed, re.MULTILINE)
    assert result is not None
    assert json.loads(result[1]) == json.loads((folder / "clip.json").read_text())["result"]


def test_deletion_leaves_nothing(ran: tuple[Path, str], app: RunningApp) -> None:
    clip = json.loads((ran[0] / "clip.json").read_text())
    left = [path.name for path in (app.data / "jobs").iterdir()]
    assert left, "those of the other commands are there"
    assert clip["id"] not in left
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{app.url}/api/v1/clips/{clip['id']}")


def test_the_webhook_gets_the_clip(ran: tuple[Path, str], receiver: Receiver) -> None:
    wait_until(lambda: receiver.received)
    document = receiver.document()
    assert (document["type"], document["data"]["name"]) == ("clip.done", "title_card.mp4")
    assert document["data"]["result"]["emotion"] == "sadness"
    [example] = blocks("python")
    names: dict[str, object] = {}
    exec(example, names)
    is_genuine, [(headers, body)] = names["is_genuine"], receiver.received
    assert callable(is_genuine)
    assert is_genuine(SECRET, headers, body)
    assert not is_genuine(SECRET, headers, body + b" ")
    assert not is_genuine(SECRET, {**headers, "webhook-timestamp": "1"}, body)


def test_other_languages_get_what_the_client_gets(
    ran: tuple[Path, str], server: Launched, samples: Path
) -> None:
    with EmotionClient(server.url, frame_format=FrameFormat.JPEG) as client:
        expected = client.classify(samples / "portrait.mp4").probabilities
    printed = ran[1]
    found = dict(re.findall(r"(\w+) (0\.\d+)$", printed, re.MULTILINE))
    assert {name: float(text) for name, text in found.items()} == pytest.approx(expected, abs=1e-4)
    if not HAS_GRPCURL:
        return
    assert '"ready": true' in printed
    tensor = re.search(r'"raw_output_contents": \[\s*"([^"]+)"', printed)
    assert tensor is not None
    texts = re.findall(rb"(0\.\d+):\d:(\w+)", base64.b64decode(tensor[1]))
    assert {name.decode(): float(text) for text, name in texts} == pytest.approx(expected, abs=1e-4)


def test_the_app_stops_while_a_clip_is_followed(app: RunningApp, ran: tuple[Path, str]) -> None:
    """The last of this file: it stops the app. uvicorn alone would wait for the client to go."""
    request = urllib.request.Request(
        f"{app.url}/api/v1/clips",
        json.dumps({"url": "https://192.0.2.1/never.mp4"}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        path = answer.headers["Location"]
    with urllib.request.urlopen(f"{app.url}{path}/events") as events:
        assert events.readline().startswith(b"event: state")
        assert stop(app.process) == 0
        events.read()
