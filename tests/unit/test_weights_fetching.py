import hashlib
import io
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from export.errors import ChecksumError, FetchError
from export.weights import registries
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
    wheel, tarball = tmp_path / "a.whl", tmp_path / "a.tgz"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("thing/data.bin", CONTENT)
    with tarfile.open(tarball, "w:gz") as packed:
        member = tarfile.TarInfo("thing/data.bin")
        member.size = len(CONTENT)
        packed.addfile(member, io.BytesIO(CONTENT))
    for path in (wheel, tarball):
        target = io.BytesIO()
        registries.copy_member(path, "thing/data.bin", target)
        assert target.getvalue() == CONTENT
        with pytest.raises(FetchError, match="holds no thing"):
            registries.copy_member(path, "thing/other.bin", target)


def test_a_registry_without_the_package_is_a_fetch_error(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="pip download"):
        registries.download("pypi", "not a package name", tmp_path)
