"""The docs' commands and programs that ask a server, run on one. The others: tests/unit."""

from itertools import pairwise
from pathlib import Path

import pytest

from tests.clips import solid_frame, write_clip
from tests.documented import PAGES, name_of, programs, shell_commands
from tests.launching import Launched
from tests.link_server import Site
from vemoclap_client import EmotionClient
from vemoclap_client.cli.main import main

NOT_HERE = ("vemoclap.example:8443", "https://example.org/film.mp4")
"""Of a gateway and of links: parsed only. test_doors.py and test_links.py have both."""
RUN_BY = {"docs/http-api.md": "test_http_api.py", "README.md": "test_readme.py"}
"""Page -> the test that runs its programs."""
OUTPUTS = ("--json", "--csv", "--srt", "--vtt")
COMMANDS = {
    str(command): command.words[1:]
    for page in PAGES
    for command in shell_commands(page)
    if command.program == "vemoclap"
    and command.words[1] in ("classify", "timeline")
    and not set(NOT_HERE) & set(command.words)
}
PROGRAMS = [
    (name_of(page), program)
    for page in PAGES
    for program in programs(page)
    if name_of(page) not in RUN_BY
]


@pytest.fixture
def folder(server: Launched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to run in, with files of the names in the docs: a still picture for a second."""
    still = solid_frame((81, 90, 240), (96, 64), "yuv420p")
    (tmp_path / "samples").mkdir()
    for name in ("clip.mp4", "samples/portrait.mp4"):
        write_clip(tmp_path / name, frames=[still] * 25)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VEMOCLAP_URL", server.url)
    return tmp_path


@pytest.mark.parametrize("shown", COMMANDS)
def test_the_command_runs(
    shown: str, server: Launched, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.replace("*", "clip") for word in COMMANDS[shown]]
    if "--url" in words:
        words[words.index("--url") + 1] = server.url
    assert main(words) == 0
    assert "clip.mp4" in capsys.readouterr().out
    for option, name in pairwise(words):
        assert option not in OUTPUTS or (folder / name).is_file()


@pytest.mark.parametrize(("page", "program"), PROGRAMS, ids=[page for page, _ in PROGRAMS])
@pytest.mark.usefixtures("folder")
def test_the_program_runs(
    page: str, program: str, server: Launched, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VEMOCLAP_FETCH_PRIVATE", "1")
    program = program.replace("127.0.0.1:8001", server.url)
    program = program.replace("https://example.org/film.mp4", f"{site.address}/clip.mp4")
    with EmotionClient() as client:
        exec(compile(program, page, "exec"), {"client": client})
