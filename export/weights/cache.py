"""The folder outside the repository that keeps what was fetched, and what is known of it."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from export.errors import ChecksumError, WeightsError
from export.weights.manifest import Artifact
from vemoclap_client.files import checksum, locked

GIT_DIGITS = 40


def cache_folder() -> Path:
    """Return $VEMOCLAP_CACHE, or vemoclap in the user's cache folder."""
    chosen = os.environ.get("VEMOCLAP_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "vemoclap"


def cached_path(artifact: Artifact) -> Path:
    """Return where the artifact's file is, or will be.

    The folder is named by the file's checksum or, where that is unknown, by the hub's repository
    and revision.
    """
    file_name = Path(artifact.members[0]).name.removesuffix(".part1")
    folder = artifact.checksum[:16] or artifact.packages[0].replace("/", "--")
    return cache_folder() / "weights" / folder / file_name


@contextmanager
def using_cache() -> Iterator[None]:
    """Make an OSError inside a WeightsError that says which folder, and how to take another."""
    try:
        yield
    except OSError as error:
        raise WeightsError(
            f"cannot use the cache folder {cache_folder()} ({error}); "
            "set $VEMOCLAP_CACHE to a folder that can be written and has room"
        ) from error


@contextmanager
def alone(artifact: Artifact) -> Iterator[None]:
    """Let one process at a time fetch this file: a part that is left belongs to whoever is here."""
    path = cached_path(artifact)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    lock.touch()
    with locked(lock):
        yield


def check_room(needed_bytes: int, folder: Path) -> None:
    """Raise an OSError now rather than after an hour of fetching."""
    free_bytes = shutil.disk_usage(folder).free
    if needed_bytes > free_bytes:
        needed, free = needed_bytes / 1e6, free_bytes / 1e6
        raise OSError(errno.ENOSPC, f"{needed:.1f} MB are needed and {free:.1f} MB are free")


def git_checksum(path: Path) -> str:
    """Return the name that git gives the file's content, as 40 hexadecimal digits."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def check(path: Path, expected: str, name: str) -> None:
    """Check a file against its sha256 (64 digits) or its name in git (40 digits).

    Raises:
        ChecksumError: it is another file.
    """
    kind, found = (
        ("git checksum", git_checksum(path))
        if len(expected) == GIT_DIGITS
        else ("sha256", checksum(path))
    )
    if found != expected:
        raise ChecksumError(f"wrong file for {name!r}: expected {kind} {expected}, found {found}")


def expected_checksum(artifact: Artifact) -> str | None:
    """Return the manifest's checksum, else what the hub told at the first fetch, or None."""
    found = resolved(artifact)
    return artifact.checksum or (found.checksum if found else None)


def identity(artifact: Artifact) -> str:
    """Return a word that changes whenever the artifact's content does, as far as is known."""
    return expected_checksum(artifact) or f"{artifact.packages[0]}/{artifact.members[0]}"


@dataclass(frozen=True)
class Resolved:
    """What the hub told of a file whose checksum the manifest does not know.

    Args:
        commit: the revision, 40 hexadecimal digits.
        checksum: sha256, or git's name of the content.
    """

    commit: str
    checksum: str


def resolved(artifact: Artifact) -> Resolved | None:
    """Return what `remember` has kept, so that every later fetch gets the same file."""
    try:
        commit, known = _found_note(artifact).read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return Resolved(commit, known)


def remember(artifact: Artifact, found: Resolved) -> None:
    """Keep what the hub told, beside the cached file."""
    note = _found_note(artifact)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(f"{found.commit} {found.checksum}", encoding="ascii")


def _found_note(artifact: Artifact) -> Path:
    path = cached_path(artifact)
    return path.with_name(path.name + ".found")


def is_verified(artifact: Artifact) -> bool:
    """Whether the cached file is the one whose checksum was found right earlier.

    Compares size and time of change with the note that `mark_verified` left.
    """
    path = cached_path(artifact)
    try:
        return _note(path).read_text(encoding="ascii") == _state(path)
    except OSError:
        return False


def mark_verified(artifact: Artifact) -> Path:
    """Note that the cached file's checksum is right, and return its path."""
    path = cached_path(artifact)
    if not is_verified(artifact):  # a cache that may only be read can be verified again
        _note(path).write_text(_state(path), encoding="ascii")
    return path


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".verified")


def _state(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"
