"""Moves bytes from where they come from into the cache, telling whose fault a failure is.

A source that fails is followed by the next one; a cache that cannot be written ends the fetch.
"""

import http.client
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from export.errors import FetchError
from export.weights.cache import using_cache

CHUNK_BYTES = 1 << 20

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
