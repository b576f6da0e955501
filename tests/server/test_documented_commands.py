"""The docs' commands and programs that ask a server, run on one. The others: tests/unit."""

import os
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.clips import Tone, write_clip
from tests.documented import PAGES, Command, name_of, programs, shell_commands
from tests.launching import PROJECT, Launched
from vemoclap_client import EmotionClient

NEEDS_MORE = {"--untrusted", "vemoclap.example:8443"}
"""Of a gateway: test_gateway.py."""
OUTPUTS = ("--json", "--csv", "--srt", "--vtt")
RUN_BY = {"docs/http-api.md": "test_http_api.py", "README.md": "test_readme.py"}
COMMANDS = [
    command
    for page in PAGES
    for command in shell_commands(page)
    if command.program == "vemoclap"
    and command.words[1] in ("classify", "timeline")
    and not NEEDS_MORE & set(command.words)
]
PROGRAMS = [
    (name_of(page), program)
    for page in PAGES
    for program in programs(page)
    if name_of(page) not in RUN_BY
]


@pytest.fixture(scope="module")
def folder(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the docs name."""
    found = tmp_path_factory.mktemp("documented")
    write_clip(found / "clip.mp4", seconds=2, sound=Tone())
    (found / "samples").symlink_to(samples)
    return found


def environment(server: Launched) -> dict[str, str]:
    paths = [PROJECT, PROJECT / "client"]
    return {
        **os.environ,
        "VEMOCLAP_URL": server.url,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_the_command_runs(command: Command, server: Launched, folder: Path) -> None:
    words = list(command.words[1:])
    if "--url" in words:
        words[words.index("--url") + 1] = server.url
    arguments = shlex.join(words).replace("'*.mp4'", "*.mp4")
    program = f"{shlex.quote(sys.executable)} -m vemoclap_client.cli.main"
    finished = subprocess.run(
        ["bash", "-c", f"{program} {arguments}"],
        cwd=folder,
        env=environment(server),
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert "clip.mp4" in finished.stdout
    written = [after for option, after in pairwise(words) if option in OUTPUTS]
    assert all((folder / name).stat().st_size for name in written)


@pytest.mark.parametrize(("page", "program"), PROGRAMS, ids=[page for page, _ in PROGRAMS])
def test_the_program_runs(
    page: str, program: str, server: Launched, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("VEMOCLAP_URL", server.url)
    program = program.replace("127.0.0.1:8001", server.url)
    with EmotionClient() as client:
        exec(compile(program, page, "exec"), {"client": client})
