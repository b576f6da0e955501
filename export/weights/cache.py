"""The folder outside the repository that keeps what was fetched, and what is known of it."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from export.errors import WeightsError
from export.weights.manifest import Artifact


def cache_folder() -> Path:
    """Return $VEMOCLAP_CACHE, or vemoclap in the user's cache folder."""
    chosen = os.environ.get("VEMOCLAP_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "vemoclap"


def cached_path(artifact: Artifact) -> Path:
    """Return where the artifact's file is, or will be. The folder is named by its checksum."""
    file_name = Path(artifact.members[0]).name.removesuffix(".part1")
    return cache_folder() / "weights" / artifact.sha256[:16] / file_name


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


def checksum(path: Path) -> str:
    """Return the sha256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
