"""Links in place of files, from a web server on this machine to the real server."""

import json
from pathlib import Path

import pytest

from tests import schemas
from tests.clips import write_clip
from tests.launching import Launched
from tests.link_server import Site
from vemoclap_client import errors
from vemoclap_client.cli.main import main


def test_links_and_files_are_classified_together(
    server: Launched, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    local = write_clip(tmp_path / "clip.mp4", seconds=1)
    link = f"http://anna:secret@127.0.0.1:{site.port}/clip.mp4"
    missing = f"{site.address}/missing.mp4"
    folder = tmp_path / "results"
    common = ["--json-dir", str(folder), "--allow-private", "--url", server.url]
    code = main(["classify", link, missing, str(local), *common])
    assert code == errors.NothingThereError.exit_code
    assert missing in capsys.readouterr().err
    names = {file.name: json.loads(file.read_text())["video"] for file in folder.iterdir()}
    assert names == {"clip.json": str(local), "clip (2).json": f"{site.address}/clip.mp4"}
    for file in folder.iterdir():
        schemas.check(json.loads(file.read_text()), "result")


def test_a_timeline_is_of_the_link(server: Launched, site: Site, tmp_path: Path) -> None:
    link, file = f"{site.address}/clip.mp4", tmp_path / "timeline.json"
    common = ["--json", str(file), "--allow-private", "--url", server.url]
    assert main(["timeline", link, "--window-s", "2", "--hop-s", "2", *common]) == 0
    timeline = json.loads(file.read_text())
    schemas.check(timeline, "timeline")
    assert timeline["video"] == link
