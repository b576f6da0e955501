"""The command `vemoclap`: what it writes, and how it fails before doing any work."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import schemas
from tests.clips import write_clip
from tests.launching import Launched
from tests.terminal import run_on_terminal
from vemoclap_client import errors
from vemoclap_client.channels import DEFAULT_URL, default_url
from vemoclap_client.cli._output import ERASE_LINE
from vemoclap_client.cli.main import INTERRUPTED, main

COMMAND = (sys.executable, "-m", "vemoclap_client.cli.main", "classify")
NOBODY = "127.0.0.1:1"
"""Nothing listens there: what ends with another code than 21 never asked the server."""


def test_json_holds_the_whole_result(server: Launched, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "clip.mp4", seconds=1)
    file = tmp_path / "new folder" / "result.json"
    assert main(["classify", str(video), "--json", str(file), "--url", server.url]) == 0
    schemas.check(json.loads(file.read_text()), "result")
    assert [path.name for path in file.parent.iterdir()] == ["result.json"]


def test_an_untrusted_video_has_the_same_result(server: Launched, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "clip.mp4", seconds=1)
    results = []
    for options in ([], ["--untrusted"]):
        file = tmp_path / "result.json"
        arguments = ["classify", str(video), *options, "--json", str(file), "--url", server.url]
        assert main(arguments) == 0
        result = json.loads(file.read_text())
        del result["timings_ms"]
        results.append(result)
    assert results[0] == results[1]


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


def test_several_videos_have_a_summary(
    server: Launched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """See test_bad_input.py for one that fails, and tests/unit/test_shell.py for all that do."""
    videos = [str(write_clip(tmp_path / name, seconds=0.2)) for name in ("1.mp4", "2.mp4")]
    assert main(["classify", *videos, "--url", server.url]) == 0
    assert capsys.readouterr().err == "vemoclap: 2 of 2 videos classified\n"


INTERRUPTIBLE = """
import signal, sys
from vemoclap_client.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""
"""The command as in a terminal; in the background, shells have SIGINT ignored."""


def test_ctrl_c_keeps_what_is_finished(server: Launched, tmp_path: Path) -> None:
    first = write_clip(tmp_path / "0.mp4", seconds=0.2)
    videos = [first, *(tmp_path / f"{number}.mp4" for number in range(1, 9))]
    for video in videos[1:]:
        video.write_bytes(first.read_bytes())
    folder = tmp_path / "results"
    command = [sys.executable, "-c", INTERRUPTIBLE, "classify", *videos, "--json-dir", folder]
    with subprocess.Popen(
        [*command, "--url", server.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert str(first) in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    kept = len(list(folder.iterdir()))
    assert 1 <= kept < len(videos)
    schemas.check(json.loads((folder / "0.json").read_text()), "result")
    assert said == f"vemoclap: {kept} of 9 videos classified, {9 - kept} interrupted or not tried\n"


def test_a_timeline_shows_its_progress_on_a_terminal(server: Launched, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "clip.mp4", seconds=2)
    command = [*COMMAND[:-1], "timeline", video, "--window-s", "1", "--hop-s", "1"]
    finished = run_on_terminal([*command, "--url", server.url])
    assert finished.exit_code == 0
    for done in (1, 2):
        assert f"  {video}: {done} of 2 windows" in finished.shown
    assert finished.shown.endswith(ERASE_LINE)
    assert finished.printed.startswith("  0:00.0 - 0:01.0")
    assert "\x1b" not in finished.printed


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
    assert json.loads(file.read_text())["video"] == str(tmp_path / "b\\xffd 猫.mp4")
