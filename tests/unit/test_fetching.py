"""Links: what is downloaded, and what is refused, from a real server by the real yt-dlp."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.clips import read_number
from tests.launching import wait_until
from tests.link_server import HERE, Site, fetch_error
from vemoclap_client import decode, errors
from vemoclap_client.fetch import Fetched, FetchProgress, fetch, is_link


@pytest.mark.parametrize("name", ["clip.mp4", "untyped", "one.html", "redirect?to=/clip.mp4"])
def test_a_link_leads_to_its_video(name: str, site: Site, tmp_path: Path) -> None:
    with fetch(f"{site.address}/{name}", HERE, folder=tmp_path) as fetched:
        assert fetched.path.read_bytes() == site.files["clip.mp4"][1]
        assert fetched.url == f"{site.address}/{name}"
        assert list(tmp_path.iterdir()) == [fetched.path.parent]
    assert list(tmp_path.iterdir()) == []


def test_a_playlist_of_parts_is_one_video(site: Site, tmp_path: Path) -> None:
    with fetch(f"{site.address}/list.m3u8", HERE, folder=tmp_path) as fetched:
        assert fetched.path.read_bytes() == 2 * site.files["part.ts"][1]


def test_pictures_and_sound_that_come_apart_are_joined(site: Site, tmp_path: Path) -> None:
    with fetch(f"{site.address}/apart.m3u8", HERE, folder=tmp_path) as fetched:
        clip = decode(fetched.path)
    assert abs(clip.duration_s - 2) < 0.2
    assert np.abs(clip.audio).max() > 0.3
    assert len({read_number(frame) for frame in clip.frames}) > 10


def test_a_video_that_was_moved_away_stays(site: Site, tmp_path: Path) -> None:
    with fetch(f"{site.address}/clip.mp4", HERE, folder=tmp_path) as fetched:
        fetched.path.rename(tmp_path / "kept.mp4")
    assert [file.name for file in tmp_path.iterdir()] == ["kept.mp4"]


def test_a_user_s_name_is_sent_but_not_shown(site: Site, tmp_path: Path) -> None:
    url = f"http://anna:secret@127.0.0.1:{site.port}/clip.mp4"
    with fetch(url, HERE, folder=tmp_path) as fetched:
        assert fetched.url == f"{site.address}/clip.mp4"
    assert site.asked[-1][1].startswith("Basic ")
    error = fetch_error(url.replace("clip", "missing"), tmp_path)
    assert "secret" not in str(error)
    assert "anna" not in str(error)


@pytest.mark.parametrize("name", ["endless.mp4", "endless.html"])
def test_what_never_ends_is_stopped_at_the_limit(name: str, site: Site, tmp_path: Path) -> None:
    largest = 0

    def watch(_: FetchProgress) -> None:
        nonlocal largest
        files = [file for file in tmp_path.rglob("*") if file.is_file()]
        largest = max([largest, *(file.stat().st_size for file in files)])

    limits = replace(HERE, size_bytes=1_000_000)
    with (
        pytest.raises(errors.TooLargeError),
        fetch(f"{site.address}/{name}", limits, watch, tmp_path),
    ):
        pass
    assert largest <= limits.size_bytes + 1
    assert list(tmp_path.iterdir()) == []


def test_a_long_video_is_refused(site: Site, tmp_path: Path) -> None:
    error = fetch_error(f"{site.address}/clip.mp4", tmp_path, replace(HERE, duration_s=2))
    assert isinstance(error, errors.TooLongError)


@pytest.mark.parametrize(
    ("host", "error"),
    [("no-such-host.invalid", errors.NothingThereError), ("127.0.0.1:1", errors.TransferError)],
)
def test_a_host_that_does_not_answer_is_said(
    host: str, error: type[errors.FetchError], tmp_path: Path
) -> None:
    assert type(fetch_error(f"http://{host}/clip.mp4", tmp_path)) is error


def test_a_stalled_server_runs_into_the_limit(site: Site, tmp_path: Path) -> None:
    calls: list[object] = []
    with (
        pytest.raises(errors.TransferError, match="longer than"),
        fetch(
            f"{site.address}/stalled.mp4",
            replace(HERE, timeout_s=4),
            calls.append,
            tmp_path,
        ),
    ):
        pass
    assert len(calls) >= 4, "every half second of the four, on a busy machine every second"
    assert list(tmp_path.iterdir()) == []


def children() -> list[str]:
    """The command lines of this process's children; of one that has just ended there is none."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            found.append(" ".join(child.cmdline()))
    return found


def test_what_the_caller_raises_ends_it(site: Site, tmp_path: Path) -> None:
    def cancel(progress: FetchProgress) -> None:
        if progress.bytes_received:
            assert any("vemoclap_client.fetch._worker" in line for line in children())
            raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        fetch(f"{site.address}/stalled.mp4", HERE, cancel, tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
    assert not any("vemoclap_client.fetch._worker" in line for line in children())


FETCHING = """
import sys
from pathlib import Path
from vemoclap_client.fetch import FetchLimits, fetch
with fetch(sys.argv[1], FetchLimits(allow_private=True), print, Path(sys.argv[2])):
    pass
"""


def test_what_a_killed_process_leaves_goes_with_the_next(site: Site, tmp_path: Path) -> None:
    url = f"{site.address}/stalled.mp4"
    parent = subprocess.Popen([sys.executable, "-c", FETCHING, url, tmp_path], stdout=-1)
    wait_until(lambda: any(tmp_path.glob("*/*")))
    [folder] = tmp_path.iterdir()
    [worker] = psutil.Process(parent.pid).children()
    with fetch(f"{site.address}/clip.mp4", HERE, folder=tmp_path):
        assert folder.exists()  # It is in use.
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    wait_until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    os.utime(folder, (0, 0))
    with fetch(f"{site.address}/clip.mp4", HERE, folder=tmp_path):
        assert not folder.exists()


def test_cookies_are_sent_and_their_file_stays_as_it_is(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "cookies.txt"
    line = "127.0.0.1\tFALSE\t/\tFALSE\t0\tname\tvalue\n"
    file.write_text(f"# Netscape HTTP Cookie File\n{line}")
    before = file.read_bytes()
    with fetch(f"{site.address}/clip.mp4", HERE, folder=tmp_path, cookies=file) as fetched:
        assert isinstance(fetched, Fetched)
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [None, "no cookies", "\N{SNOWMAN}".encode("utf-16")])
def test_cookies_that_are_none_are_said(
    content: str | bytes | None, site: Site, tmp_path: Path
) -> None:
    file = tmp_path / "cookies.txt"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with (
        pytest.raises(errors.FetchError, match="cookies"),
        fetch(f"{site.address}/clip.mp4", HERE, cookies=file),
    ):
        pass


def test_a_missing_extra_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vemoclap_client.fetch.download.find_spec", lambda _: None)
    error = fetch_error("http://example.org/clip.mp4", tmp_path)
    assert isinstance(error, errors.FetchingNotInstalledError)
    assert "client[fetch]" in str(error)


def test_the_client_never_imports_yt_dlp_by_itself() -> None:
    code = "import sys, vemoclap_client.cli.main, vemoclap_client.fetch._worker\n"
    code += "sys.exit('yt_dlp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_links_are_known_by_their_look() -> None:
    assert is_link("https://example.org/a.mp4")
    assert is_link("ftp://example.org/a.mp4")
    assert not is_link("/home/anna/a.mp4")
