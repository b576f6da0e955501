"""Fetching from the Hugging Face hub: its real client against a real server on this machine."""

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.utils import close_session  # type: ignore[attr-defined]

from export.errors import ChecksumError, FetchError, WeightsError
from export.weights import fetch, fetching, hub
from export.weights.cache import cached_path, expected_checksum, identity, is_verified
from export.weights.manifest import Artifact
from tests.launching import wait_until
from tests.unit.hub_server import COMMIT, State, git_name, serve

WEIGHTS = b"weights " * 5000
CONFIG = b'{"small": true}'
PINNED = Artifact(
    name="thing",
    slot="samples",
    registry="hub",
    packages=(f"owner/name@{COMMIT}",),
    members=("weights.bin",),
    licence="MIT",
    sha256=hashlib.sha256(WEIGHTS).hexdigest(),
    size_bytes=len(WEIGHTS),
)
CONFIG_BY_COMMIT = replace(PINNED, members=("config.json",), sha256="", size_bytes=0)
WEIGHTS_BY_COMMIT = replace(PINNED, sha256="", size_bytes=0)
NOT_PINNED = replace(PINNED, packages=("owner/name@main",), sha256="", size_bytes=0)
CHUNK_BYTES = 500
"""What has come is written in such pieces, so that a cut does not lose all of a small file."""
PROGRAM = f"""
from huggingface_hub import constants
constants.DOWNLOAD_CHUNK_SIZE = {CHUNK_BYTES}
from export.weights import fetching
from export.weights.manifest import Artifact
fetching.artifact = lambda _: {PINNED!r}
print(fetching.fetch("thing"))
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """A hub, and this process's hub client set up for it as from the environment."""
    monkeypatch.setenv("VEMOCLAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", CHUNK_BYTES)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    close_session()
    with serve(State({"weights.bin": WEIGHTS, "config.json": CONFIG})) as state:
        template = state.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", state.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield state
        close_session()


@pytest.fixture(autouse=True)
def want(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "artifact", lambda name: WANTED[name])


WANTED = {
    "thing": PINNED,
    "config": CONFIG_BY_COMMIT,
    "weights by commit": WEIGHTS_BY_COMMIT,
    "not pinned": NOT_PINNED,
}


def partials() -> list[Path]:
    return list(cached_path(PINNED).parent.glob("*.partial"))


def go_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    close_session()


def test_the_pinned_file_is_fetched_verified_and_not_fetched_again(server: State) -> None:
    path = fetch("thing")
    assert path == cached_path(PINNED)
    assert path.read_bytes() == WEIGHTS
    assert is_verified(PINNED)
    asked = len(server.requests)
    assert fetch("thing", verify=True) == path
    assert len(server.requests) == asked
    assert not (Path(constants.HF_HUB_CACHE)).exists()  # so it takes its room once


@pytest.mark.parametrize(
    ("name", "content", "checksum"),
    [
        ("config", CONFIG, git_name(CONFIG)),
        ("weights by commit", WEIGHTS, hashlib.sha256(WEIGHTS).hexdigest()),
    ],
)
def test_the_hubs_own_checksum_counts_where_no_other_is_known(
    server: State, name: str, content: bytes, checksum: str
) -> None:
    path = fetch(name)
    assert path.read_bytes() == content
    assert expected_checksum(WANTED[name]) == identity(WANTED[name]) == checksum
    before = path.stat()
    path.write_bytes(content.swapcase())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert fetch(name, verify=True).read_bytes() == content


@pytest.mark.parametrize("name", ["thing", "config"])
def test_wrong_bytes_are_deleted_and_the_next_run_fetches_anew(server: State, name: str) -> None:
    server.spoilt = True
    with pytest.raises(ChecksumError, match="wrong file for 'thing': expected") as caught:
        fetch(name)
    assert str(cached_path(WANTED[name])) in str(caught.value)
    assert partials() == []
    server.spoilt = False
    assert fetch(name).read_bytes() == (WEIGHTS if name == "thing" else CONFIG)


def test_another_file_at_the_hub_is_told_before_it_is_fetched(server: State) -> None:
    server.files["weights.bin"] = WEIGHTS[::-1]
    with pytest.raises(ChecksumError, match="the hub has"):
        fetch("thing")
    assert server.asked("host") == []


def test_another_commit_than_the_pinned_one_is_refused(server: State) -> None:
    server.commit = "d" * 40
    with pytest.raises(FetchError, match=f"answers with commit {'d' * 40}, not {COMMIT}"):
        fetch("config")


def test_a_cut_connection_is_taken_up_again_at_once(server: State) -> None:
    server.cuts = [1000, 2000]
    assert fetch("thing").read_bytes() == WEIGHTS
    ranges = [value for value in server.asked("range") if value]
    assert set(ranges) == {"bytes=1000-", "bytes=3000-"}


def test_a_fetch_goes_on_where_the_last_run_was_cut(server: State) -> None:
    server.cuts = [1000]
    take_up = hub.fetch
    server_fails_after_the_cut(server)
    with pytest.raises(FetchError, match=r"status 503.*may be down"):
        take_up(PINNED)
    assert [path.stat().st_size for path in partials()] == [1000]
    server.refusals.clear()
    server.requests.clear()
    assert fetch("thing").read_bytes() == WEIGHTS
    assert set(server.asked("range")) == {"bytes=1000-"}
    assert partials() == []


def server_fails_after_the_cut(server: State) -> None:
    class Failing(list[int]):
        def pop(self, index: int = -1) -> int:  # type: ignore[override]
            server.refusals["GET"] = (503, {})
            return super().pop(index)

    server.cuts = Failing(server.cuts)


def test_a_part_longer_than_the_file_is_begun_anew(server: State) -> None:
    path = cached_path(PINNED)
    path.parent.mkdir(parents=True)
    partial = path.with_name(f"{path.name}.{PINNED.sha256[:16]}.partial")
    partial.write_bytes(WEIGHTS + b"more")
    assert fetch("thing").read_bytes() == WEIGHTS
    assert partials() == []


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (401, "RepoNotFound", r"there is no owner/name on .*set \$HF_TOKEN"),
        (404, "RepoNotFound", r"there is no owner/name on .*or it is private"),
        (401, "GatedRepo", r"is gated: accept its terms at .*/owner/name, then set \$HF_TOKEN"),
        (403, "GatedRepo", "is gated: accept its terms"),
        (403, "", r"is refused \(status 403\): set \$HF_TOKEN to a valid token"),
        (404, "RevisionNotFound", f"has no revision {COMMIT}"),
        (404, "EntryNotFound", f"has no file weights.bin at revision {COMMIT}"),
        (429, "", "too many requests"),
        (500, "", r"fails \(status 500\): it may be down"),
        (418, "", "answers with status 418"),
    ],
)
def test_a_refusal_says_what_to_do(server: State, status: int, code: str, message: str) -> None:
    server.refusals["HEAD"] = (status, {"X-Error-Code": code} if code else {})
    with pytest.raises(FetchError, match=message) as caught:
        fetch("thing")
    told = str(caught.value)
    assert told.startswith("cannot get artifact 'thing':\n- ")
    assert f"put weights.bin of owner/name, revision {COMMIT}" in told
    assert f"at {cached_path(PINNED)} yourself" in told
    assert PINNED.sha256 in told


def test_a_wrong_token_is_told_from_a_missing_repository(
    server: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    refused = {"X-Error-Message": "Invalid credentials in Authorization header"}
    server.refusals["HEAD"] = (401, refused)
    with pytest.raises(FetchError, match=r"refused \(status 401\).*unset a wrong one"):
        fetch("thing")


def test_the_token_is_sent_to_the_hub_and_to_nobody_else(
    server: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch("thing")
    sent = {host: headers.get("authorization") for _, host, headers in server.requests}
    assert sent == {"127.0.0.1": "Bearer hf_secret", "localhost": None}


def test_no_server_is_an_error_that_says_what_to_do(
    server: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", nowhere)
    with pytest.raises(
        FetchError, match=r"no answer.* from http://127\.0\.0\.1:9: .*refused"
    ) as caught:
        fetch("thing")
    assert "run again" in str(caught.value)


@pytest.mark.parametrize("address", ["nonsense", "http://[nonsense"])
def test_an_address_that_is_none_is_a_fetch_error(
    server: State, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    with pytest.raises(FetchError):
        fetch("thing")


def test_what_is_no_hub_is_a_fetch_error(server: State) -> None:
    server.refusals["HEAD"] = (200, {})
    with pytest.raises(FetchError, match="does not answer as a hub does"):
        fetch("thing")


def test_offline_without_the_file_is_an_error(
    server: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_offline(monkeypatch)
    with pytest.raises(FetchError, match=r"\$HF_HUB_OFFLINE is set .*unset it to fetch"):
        fetch("thing")
    assert server.requests == []


@pytest.mark.parametrize("name", ["thing", "config"])
def test_offline_the_hubs_own_cache_is_linked(
    server: State, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    wanted = WANTED[name]
    there = Path(hf_hub_download("owner/name", wanted.members[0], revision=COMMIT))
    go_offline(monkeypatch)
    path = fetch(name)
    assert path.samefile(there)
    assert not path.is_symlink()
    assert is_verified(wanted)


def test_a_spoilt_file_in_the_hubs_own_cache_is_not_used(
    server: State, capsys: pytest.CaptureFixture[str]
) -> None:
    there = Path(hf_hub_download("owner/name", "weights.bin", revision=COMMIT))
    there.write_bytes(WEIGHTS.swapcase())
    path = fetch("thing")
    assert path.read_bytes() == WEIGHTS
    assert f"not used: {there}: wrong file" in capsys.readouterr().err


def test_from_another_disk_the_hubs_own_cache_is_copied(
    server: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_disk(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    there = hf_hub_download("owner/name", "weights.bin", revision=COMMIT)
    monkeypatch.setattr(os, "link", another_disk)
    path = fetch("thing")
    assert path.read_bytes() == WEIGHTS
    assert not path.samefile(there)


def test_what_is_not_pinned_is_told_and_stays_the_same(
    server: State, capsys: pytest.CaptureFixture[str]
) -> None:
    path = fetch("not pinned")
    told = capsys.readouterr().err
    assert f"warning: thing is not pinned: owner/name@main was commit {COMMIT}" in told
    assert hashlib.sha256(WEIGHTS).hexdigest() in told
    path.unlink()
    server.files["weights.bin"] = WEIGHTS[::-1]
    with pytest.raises(ChecksumError, match="wrong file for 'thing'"):
        fetch("not pinned")
    server.files["weights.bin"] = WEIGHTS
    assert fetch("not pinned").read_bytes() == WEIGHTS
    assert "warning" not in capsys.readouterr().err


def test_what_is_not_pinned_is_taken_from_the_hubs_own_cache(
    server: State, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hf_hub_download("owner/name", "weights.bin", revision="main")
    go_offline(monkeypatch)
    assert fetch("not pinned").read_bytes() == WEIGHTS
    assert f"was commit {COMMIT}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["thing", "config", "not pinned"])
def test_a_file_put_there_by_hand_is_taken(
    server: State,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    path = cached_path(WANTED[name])
    path.parent.mkdir(parents=True)
    path.write_bytes(CONFIG if name == "config" else WEIGHTS)
    go_offline(monkeypatch)
    assert fetch(name) == path
    assert (f"not verified: {path}" in capsys.readouterr().err) == (name != "thing")
    assert fetch(name, verify=True) == path


def test_a_wrong_file_put_there_by_hand_is_replaced(server: State) -> None:
    path = cached_path(CONFIG_BY_COMMIT)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    assert fetch("config").read_bytes() == CONFIG


def test_a_disk_that_fills_up_is_told_and_the_part_is_kept(
    server: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(hub._CacheFile):
        def flush(self) -> None:
            super().flush()
            if self.tell() >= 4000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(hub, "_CacheFile", Full)
        with pytest.raises(WeightsError, match=r"No space left .*\$VEMOCLAP_CACHE") as caught:
            fetch("thing")
    assert not isinstance(caught.value, FetchError)
    assert [path.stat().st_size for path in partials()] == [4000]
    server.requests.clear()
    assert fetch("thing").read_bytes() == WEIGHTS
    assert set(server.asked("range")) == {"bytes=4000-"}


def test_a_disk_without_room_is_told_before_anything_is_fetched(
    server: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(WeightsError, match=r"0\.0 MB are needed .*\$VEMOCLAP_CACHE"):
        fetch("thing")
    assert server.asked("host") == []


def environment(server: State, tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "HF_ENDPOINT": server.address,
        "HF_HOME": str(tmp_path / "home"),
        "HF_TOKEN": "hf_secret",
        "PYTHONPATH": f"{Path.cwd()}:{Path.cwd() / 'client'}",
    }


def test_the_environment_is_heeded(server: State, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM]
    given = environment(server, tmp_path)
    offline = subprocess.run(
        command, env=given | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True
    )
    assert f"was never fetched into {tmp_path / 'home' / 'hub'}" in offline.stderr
    assert server.requests == []
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).read_bytes() == WEIGHTS
    assert server.requests[0][2]["authorization"] == "Bearer hf_secret"


def test_after_a_killed_run_the_next_one_goes_on(server: State, tmp_path: Path) -> None:
    server.stall_after = 30_000
    given = environment(server, tmp_path) | {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    program = (
        "from huggingface_hub import constants\nconstants.DOWNLOAD_CHUNK_SIZE = 100\n" + PROGRAM
    )
    with subprocess.Popen([sys.executable, "-c", program], env=given) as process:
        wait_until(
            lambda: process.poll() is not None or any(path.stat().st_size for path in partials())
        )
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    (partial,) = partials()
    begun = partial.stat().st_size
    assert not cached_path(PINNED).exists()
    server.stall_after = None
    server.requests.clear()
    assert fetch("thing").read_bytes() == WEIGHTS
    assert set(server.asked("range")) == {f"bytes={begun}-"}
