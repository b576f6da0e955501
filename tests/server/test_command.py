"""The command `vemoclap`: what it writes, and how it fails before doing any work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import schemas
from tests.clips import write_clip
from tests.launching import Launched
from vemoclap_client import errors
from vemoclap_client.cli.main import main
from vemoclap_client.client import DEFAULT_URL, default_url

COMMAND = (sys.executable, "-m", "vemoclap_client.cli.main", "classify")
NOBODY = "127.0.0.1:1"
"""Nothing listens there: what ends with another code than 21 never asked the server."""


def test_json_holds_the_whole_result(server: Launched, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "clip.mp4", seconds=1)
    file = tmp_path / "new folder" / "result.json"
    assert main(["classify", str(video), "--json", str(file), "--url", server.url]) == 0
    schemas.check(json.loads(file.read_text()), "result")
    assert [path.name for path in file.parent.iterdir()] == ["result.json"]


def test_a_result_for_a_pipe_behind_a_proxy(server: Launched, tmp_path: Path) -> None:
    """A local server is reached although a proxy is set, and `--json -` is JSON alone."""
    video = write_clip(tmp_path / "clip.mp4", seconds=1)
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy"), "http://127.0.0.1:9")
    finished = subprocess.run(
        [*COMMAND, str(video), "--json", "-", "--url", server.url],
        env={**os.environ, **proxies},
        capture_output=True,
        text=True,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    schemas.check(json.loads(finished.stdout), "result")


@pytest.mark.parametrize("place", ["a folder", "under a file"])
def test_a_result_that_cannot_be_written_is_said_before_the_work(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    target = {"a folder": tmp_path, "under a file": tmp_path / "file" / "x.json"}[place]
    code = main(["classify", "any.mp4", "--json", str(target), "--url", NOBODY])
    assert code == errors.OutputError.exit_code
    assert str(target) in capsys.readouterr().err


def test_two_videos_never_share_a_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = ["a/same.mp4", "b/same.mov"]
    code = main(["classify", *videos, "--json-dir", str(tmp_path / "r"), "--url", NOBODY])
    assert code == errors.OutputError.exit_code
    assert "same.json" in capsys.readouterr().err


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "1e12", "soon"])
def test_a_time_that_is_none_is_wrong_usage(timeout: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["classify", "any.mp4", "--timeout-s", timeout])
    assert caught.value.code == 2


def test_a_missing_file_is_said_before_a_missing_server(tmp_path: Path) -> None:
    code = main(["classify", str(tmp_path / "missing.mp4"), "--url", NOBODY])
    assert code == errors.VideoNotFoundError.exit_code


def test_an_empty_address_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEMOCLAP_URL", "")
    assert default_url() == DEFAULT_URL


def test_a_name_that_is_no_text_survives_an_ascii_terminal(
    server: Launched, tmp_path: Path
) -> None:
    video = write_clip(tmp_path / "clip.mp4", seconds=1)
    odd = video.rename(os.fsdecode(os.fsencode(tmp_path) + b"/b\xffd \xe7\x8c\xab.mp4"))
    file = tmp_path / "result.json"
    finished = subprocess.run(
        [*COMMAND, odd, "--json", file, "--url", server.url],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert b"0.17" in finished.stdout
    assert json.loads(file.read_text())["video"] == str(odd)
