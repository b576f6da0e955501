"""The command in a shell: targets that are no plain files, closed pipes, full disks, proxies."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from tests.clips import write_clip
from tests.link_server import Site
from tests.terminal import run_on_terminal
from vemoclap_client.channels import channel_options, is_loopback
from vemoclap_client.cli._output import ERASE_LINE, Output
from vemoclap_client.cli.main import main
from vemoclap_client.errors import EmptyVideoError, ServerUnavailableError, VideoNotFoundError
from vemoclap_client.files import check_writable, write_text

COMMAND = (sys.executable, "-m", "vemoclap_client.cli.main")
NOBODY = "127.0.0.1:1"
"""Nothing listens there."""


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


def test_what_a_terminal_would_obey_is_replaced_in_text_for_people(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = Output()
    text = (
        "\x1b]0;owned\x07 \x9b2J\r\x00 Gr\u00fc\u00dfe,\u00a0\u0645\u06cc\u200c\u062e\u0648\n\tnext"
    )
    safe = "?]0;owned? ?2J?? Gr\u00fc\u00dfe,\u00a0\u0645\u06cc\u200c\u062e\u0648\n\tnext"
    output.show(text)
    output.say(text)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (f"{safe}\n", f"vemoclap: {safe}\n")
    output.write(text)  # A file for programs.
    assert capsys.readouterr().out == text


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("vemoclap 0.")


PROGRESS = """
import sys
from vemoclap_client.cli._output import Output
output = Output(quiet="--quiet" in sys.argv)
output.task = "1 of 2: a\\x1b[2Jb.mp4"
output.progress("3 of 4 windows")
output.write("a result\\n")
output.progress()
output.say("an error")
"""


def test_progress_is_one_line_of_a_terminal_which_is_erased_before_others() -> None:
    finished = run_on_terminal([sys.executable, "-c", PROGRESS])
    assert finished.printed == "a result\n"
    first, erased, second, error = finished.shown.split(ERASE_LINE)[1:]
    assert "  1 of 2: a?[2Jb.mp4: 3 of 4 windows" in first, "a name is not to steer the terminal"
    assert "  1 of 2: a?[2Jb.mp4\x1b" in second
    assert (erased, error) == ("", "vemoclap: an error\r\n")


@pytest.mark.parametrize(
    ("option", "environment"), [("--quiet", {}), ("", {"TERM": "dumb"})], ids=["quiet", "dumb"]
)
def test_no_progress_where_it_is_not_wanted(option: str, environment: dict[str, str]) -> None:
    finished = run_on_terminal([sys.executable, "-c", PROGRESS, option], environment)
    assert finished.shown == "vemoclap: an error\r\n"


def test_no_progress_in_a_pipe() -> None:
    command = [sys.executable, "-c", PROGRESS]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (finished.stdout, finished.stderr) == ("a result\n", "vemoclap: an error\n")


def test_a_download_shows_its_progress(site: Site, tmp_path: Path) -> None:
    link = f"http://anna:secret@127.0.0.1:{site.port}/clip.mp4"
    command = [*COMMAND, "fetch", link, "--out", tmp_path, "--allow-private"]
    finished = run_on_terminal(command)
    assert (finished.exit_code, finished.printed) == (0, f"{tmp_path / 'clip.mp4'}\n")
    assert f"  {site.address}/clip.mp4: downloaded 0.0" in finished.shown
    assert "secret" not in finished.shown
    assert finished.shown.endswith(ERASE_LINE)


def test_every_failed_video_is_in_the_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing, empty = tmp_path / "missing.mp4", tmp_path / "empty.mp4"
    empty.touch()
    command = ["classify", str(missing), str(empty), "--url", NOBODY]
    assert main(command) == EmptyVideoError.exit_code, "the last error's"
    said = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in said[:2]] == ["vemoclap"] * 2
    assert said[2] == "vemoclap: 0 of 2 videos classified, 2 failed"
    assert said[3].startswith(f"  failed: {missing}: there is no such file")
    assert said[4].startswith(f"  failed: {empty}: the file is empty")
    assert main([*command, "--quiet"]) == EmptyVideoError.exit_code
    assert capsys.readouterr().err.splitlines() == said[:2]


@pytest.mark.parametrize(
    ("option", "exit_code", "summary"),
    [
        # By default the missing video does not stop the next, and the missing server does.
        ((), ServerUnavailableError, "2 failed, 1 interrupted or not tried"),
        (("--continue-on-error",), ServerUnavailableError, "3 failed"),
        (("--no-continue-on-error",), VideoNotFoundError, "1 failed, 2 interrupted or not tried"),
    ],
)
def test_which_error_stops_the_others_is_an_option(
    option: tuple[str, ...],
    exit_code: type[Exception],
    summary: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, two = (str(write_clip(tmp_path / name, seconds=0.2)) for name in ("1.mp4", "2.mp4"))
    videos = [str(tmp_path / "missing.mp4"), one, two]
    assert main(["classify", *videos, *option, "--url", NOBODY]) == exit_code.exit_code
    assert f"0 of 3 videos classified, {summary}\n" in capsys.readouterr().err


COMPLETE = """
eval "$SCRIPT"
COMP_WORDS=(vemoclap "$@")
COMP_CWORD=$#
$(complete -p vemoclap | sed 's/.*-F \\([^ ]*\\).*/\\1/') || true
printf '%s\\n' "${COMPREPLY[@]}"
"""
"""Prints what bash would offer for the last of the words."""


@pytest.fixture(scope="module")
def bash_script() -> str:
    pytest.importorskip("shtab", reason="shtab is missing: run `make setup`")
    command = [*COMMAND, "--print-completion", "bash"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ([""], ["classify", "timeline", "convert", "batch", "fetch"]),
        (["classify", "--json"], ["--json", "--json-dir"]),
        (["classify", "--no-c"], ["--no-continue-on-error"]),
        (["classify", "a.mp4", "my"], ["my clip.mp4", "my folder"]),
        (["classify", "a.mp4", "--json-dir", "my"], ["my folder"]),
        (["timeline", "--csv", "my"], ["my clip.mp4", "my folder"]),
        (["--print-completion", ""], ["bash", "zsh", "fish"]),
    ],
    ids=" ".join,
)
def test_bash_completes(
    words: list[str], offered: list[str], bash_script: str, tmp_path: Path
) -> None:
    (tmp_path / "my clip.mp4").touch()
    (tmp_path / "my folder").mkdir()
    finished = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", *words],
        env={**os.environ, "SCRIPT": bash_script},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert set(finished.stdout.splitlines()) == set(offered), finished.stderr


@pytest.mark.parametrize(
    ("shell", "marks"), [("zsh", "#compdef vemoclap"), ("fish", "complete -c")]
)
def test_other_shells_have_scripts(
    shell: str, marks: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("shtab", reason="shtab is missing: run `make setup`")
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", shell])
    assert ended.value.code == 0
    script = capsys.readouterr().out
    assert marks in script
    assert "continue-on-error" in script
    assert '"(*):' not in script, "zsh would complete only the first of several videos"


def test_the_extra_that_completion_needs_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", "bash"])
    assert ended.value.code == 2
    assert "client[completion]" in capsys.readouterr().err
