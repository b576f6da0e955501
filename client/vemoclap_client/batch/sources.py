"""A clip of the input as a file of this machine, for as long as it is decoded."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import fsspec

from vemoclap_client.batch.rows import without_user
from vemoclap_client.errors import (
    TooLargeError,
    TransferError,
    VemoclapError,
    VideoError,
    VideoNotFoundError,
)
from vemoclap_client.fetch import FetchLimits, fetch, is_link
from vemoclap_client.files import workspace

WEB = ("http://", "https://")
BYTES_PER_MB = 1_000_000


@contextmanager
def open_source(source: str, limits: FetchLimits, cookies: Path | None) -> Iterator[Path]:
    """A file of this machine, or a temporary copy, which is removed after the block.

    Args:
        source: a path, a link (http, https) or the URL of an object that fsspec can read.
        limits: of downloads.
        cookies: as fetch's.

    Raises:
        VideoNotFoundError: there is no such object.
        FetchError: it cannot be downloaded.
        VideoError: of the block, with the source in place of the file's name.
    """
    with _opened(source, limits, cookies) as path:
        try:
            yield path
        except VideoError as error:
            said = str(error).replace(str(path), without_user(source))
            raise type(error)(said) from error


@contextmanager
def _opened(source: str, limits: FetchLimits, cookies: Path | None) -> Iterator[Path]:
    if not is_link(source):
        yield Path(source)
    elif source.startswith(WEB):
        with fetch(source, limits, cookies=cookies) as fetched:
            yield fetched.path
    else:
        with _copied(source, limits) as path:
            yield path


@contextmanager
def _copied(source: str, limits: FetchLimits) -> Iterator[Path]:
    """A copy of an object."""
    with workspace(Path(tempfile.gettempdir()), "vemoclap_batch_") as folder:
        # FFmpeg's guess at the container begins with the suffix.
        target = folder / f"clip{PurePosixPath(source).suffix}"
        with _storage_errors(source):
            system, path = fsspec.core.url_to_fs(source)
            size = system.size(path)
            if size is not None and size > limits.size_bytes:
                raise TooLargeError(f"{source}: {size / BYTES_PER_MB:.0f} MB (--max-mb)")
            system.get_file(path, str(target))
        yield target


@contextmanager
def _storage_errors(source: str) -> Iterator[None]:
    try:
        yield
    except VemoclapError:
        raise
    except FileNotFoundError as error:
        raise VideoNotFoundError(f"{source}: there is no such object") from error
    except Exception as error:  # Each storage has errors of its own.
        raise TransferError(f"{source} cannot be read: {error!r}") from error
