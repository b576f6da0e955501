"""Moves bytes from where they come from into the cache, telling whose fault a failure is.

A source that fails is followed by the next one; a cache that cannot be written ends the fetch.
"""

import http.client
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from export.errors import ChecksumError, FetchError
from export.weights.cache import check, using_cache

CHUNK_BYTES = 1 << 20
UNFINISHED = ".fetching-"
"""Start of the name of the folder that a file is fetched into."""
FETCHED_AT_S = 946_684_800
"""1 January 2000: any time but now would do."""

BROKEN = (
    OSError,  # includes URLError, timeouts, and what is no gzip file
    EOFError,
    http.client.HTTPException,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
"""How the standard library reports an unreachable address, or an archive that is cut off."""


@contextmanager
def reading(origin: str) -> Iterator[None]:
    """Make whatever goes wrong inside with the source at `origin` a FetchError."""
    try:
        yield
    except BROKEN as error:
        raise FetchError(f"{origin}: {str(error) or type(error).__name__}") from error


def copy(source: IO[bytes], target: IO[bytes]) -> None:
    """Append all of `source` to `target`, a file in the cache.

    Raises:
        WeightsError: the target cannot be written. Errors of the source are raised as they are.
    """
    while chunk := source.read(CHUNK_BYTES):
        with using_cache():
            target.write(chunk)


def settle(temporary: Path, path: Path, expected: str, name: str) -> None:
    """Move a fetched file into the cache if it is the right one, and delete it if it is not.

    Args:
        temporary: the file, on the cache's disk.
        path: where it belongs.
        expected: its sha256, or git's name of its content.
        name: the artifact's.

    Raises:
        ChecksumError: it is another file.
    """
    try:
        check(temporary, expected, name)
    except ChecksumError:
        temporary.unlink()
        raise
    temporary.chmod(0o644)
    # The same time for everybody, so that the note of one process fits the file of another.
    os.utime(temporary, (FETCHED_AT_S, FETCHED_AT_S))
    temporary.replace(path)
