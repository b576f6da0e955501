"""The command in a shell: targets that are no plain files, closed pipes, full disks, proxies."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from vemoclap_client.channels import channel_options, is_loopback
from vemoclap_client.cli._output import Output
from vemoclap_client.cli.main import main
from vemoclap_client.files import check_writable, write_text


def test_a_link_is_followed_and_a_mode_is_kept(tmp_path: Path) -> None:
    file, link = tmp_path / "private.json", tmp_path / "link.json"
    file.write_text("old")
    file.chmod(0o600)
    link.symlink_to(file)
    check_writable([link])
    write_text(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    check_writable([pipe])
    write_text(pipe, "result")
    reader.join(timeout=10)
    assert read == ["result"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_stays_one() -> None:
    check_writable([Path(os.devnull)])
    write_text(Path(os.devnull), "result")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


SHOW = """
import sys
from vemoclap_client.cli._output import Output
output = Output()
for number in range(100_000):
    output.show("a line of the result")
print("files are written", file=sys.stderr)
sys.exit(output.exit_code)
"""


def show(target: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SHOW], stdout=target, stderr=subprocess.PIPE, text=True
    )


def test_a_closed_pipe_ends_output_and_nothing_else() -> None:
    program = show(subprocess.PIPE)
    assert program.stdout is not None and program.stderr is not None
    program.stdout.readline()
    program.stdout.close()
    assert program.stderr.read() == "files are written\n"
    program.stderr.close()
    assert program.wait() == 141


def test_a_full_disk_is_said_without_a_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        program = show(full.fileno())
        _, errors = program.communicate()
    assert "No space left" in errors
    assert "Traceback" not in errors
    assert errors.endswith("files are written\n")
    assert program.returncode == 3


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        ("127.0.0.1:8001", True),
        ("127.8.0.1:1", True),
        ("localhost:8001", True),
        ("[::1]:8001", True),
        ("10.0.0.1:8001", False),
        ("gpu.example:8001", False),
    ],
)
def test_a_loopback_address_never_goes_through_a_proxy(url: str, is_local: bool) -> None:
    assert is_loopback(url) is is_local
    assert (("grpc.enable_http_proxy", 0) in channel_options(url)) is is_local


def test_the_pause_between_attempts_to_connect_is_short() -> None:
    assert dict(channel_options("gpu.example:8001"))["grpc.max_reconnect_backoff_ms"] < 1000


def test_quiet_leaves_out_the_text_but_not_what_was_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = Output(quiet=True)
    output.show("for people")
    output.write("{}\n")
    assert capsys.readouterr().out == "{}\n"


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("vemoclap 0.")
