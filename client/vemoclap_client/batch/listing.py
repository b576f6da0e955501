"""INPUT: a folder, a pattern, a table (CSV, Parquet) or one video, here or in object storage."""

import os
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from fsspec.implementations.local import LocalFileSystem

from vemoclap_client.batch.rows import NUMBER, STOPS, VIDEO, result_fields, without_user
from vemoclap_client.errors import BatchInputError

VIDEO_SUFFIXES = (
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"),
    *(".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
)
"""What is taken of a folder; a pattern or a table takes what it names."""

TABLES = (".csv", ".parquet")

SOURCE = pa.field("source", pa.binary())
"""Where a worker reads a clip: a path or URL, in the file system's own bytes."""


@dataclass(frozen=True)
class Listing:
    """What INPUT lists.

    Attributes:
        clips: SOURCE, VIDEO (the same as text: what identifies a clip) and the columns that are
            carried through, in order; no clip twice.
        repeated: how many were listed again, and left out.
        ignored: how many of a folder's files are no videos by their names.
    """

    clips: pa.Table
    repeated: int
    ignored: int = 0


def list_clips(given: str) -> Listing:
    """The clips of INPUT.

    Raises:
        BatchInputError: it is missing, cannot be read, or lists nothing.
    """
    with _input_errors(given):
        system, path = fsspec.core.url_to_fs(given)
        if given.endswith(TABLES) and system.isfile(path):
            return _from_table(_read_table(system, path), _name(system, path))
        ignored = 0
        if system.isdir(path):
            found = sorted(file for file in _find(system, path) if not _is_hidden(file, path))
            files = [file for file in found if file.lower().endswith(VIDEO_SUFFIXES)]
            ignored = len(found) - len(files)
        elif system.isfile(path):
            files = [path]
        else:
            files = sorted(file for file in system.glob(path) if system.isfile(file))
        if not files:
            besides = f" ({ignored} files are no videos by their names)" if ignored else ""
            raise BatchInputError(f"there is no video{besides}")
    return _without_repeated([_name(system, file) for file in files], pa.table({}), ignored)


@contextmanager
def _input_errors(given: str) -> Iterator[None]:
    try:
        yield
    except (BatchInputError, ImportError) as error:  # fsspec names the package of a storage.
        raise BatchInputError(without_user(f"{given}: {error}")) from error
    except Exception as error:  # Each storage has errors of its own.
        raise BatchInputError(without_user(f"{given} cannot be read: {error}")) from error


def _read_table(system: Any, path: str) -> pa.Table:
    with system.open(path, "rb") as file:
        if path.endswith(".csv"):
            # 0012 is not 12, and a day is carried through as it was written.
            convert = pa.csv.ConvertOptions(default_column_type=pa.string())
            return pa.csv.read_csv(file, convert_options=convert)
        return pa.parquet.read_table(file)


def _from_table(table: pa.Table, place: str) -> Listing:
    if VIDEO not in table.column_names:
        raise BatchInputError(f"it has no column {VIDEO!r}, but {table.column_names}")
    own = {VIDEO, NUMBER.name, SOURCE.name, STOPS.name}
    own |= {field.name for field in result_fields(features=True)}
    carried = table.drop_columns([VIDEO]).replace_schema_metadata(None)
    if taken := sorted(own & set(carried.column_names)):
        raise BatchInputError(f"the columns {', '.join(taken)} are ours: rename yours")
    names = table[VIDEO].cast(pa.string()).to_pylist()
    if not names or not all(names):
        raise BatchInputError(f"the column {VIDEO!r} is empty, in part or in full")
    return _without_repeated([_resolve(name, place) for name in names], carried)


def _resolve(name: str, table: str) -> str:
    """A path in a table is relative to the table's folder."""
    if "://" not in name and not posixpath.isabs(name):
        name = posixpath.join(posixpath.dirname(table), name)
    if "://" in name and not name.startswith("file://"):
        return name
    return posixpath.normpath(name.removeprefix("file://"))


def _name(system: Any, path: str) -> str:
    """A file's absolute path, or its URL where it is not of this machine."""
    return path if isinstance(system, LocalFileSystem) else str(system.unstrip_protocol(path))


def _find(system: Any, folder: str) -> Iterator[str]:
    """The files in a folder and the folders in it; links to folders are not followed.

    Raises:
        OSError: one of them cannot be read; fsspec would leave it out.
    """
    if not isinstance(system, LocalFileSystem):
        yield from system.find(folder)
        return

    def fail(error: OSError) -> None:
        raise error

    for inner, _, names in os.walk(folder, onerror=fail):
        yield from (posixpath.join(inner, name) for name in names)


def _is_hidden(file: str, folder: str) -> bool:
    return any(part.startswith(".") for part in file[len(folder) :].split("/"))


def _without_repeated(names: Sequence[str], carried: pa.Table, ignored: int = 0) -> Listing:
    sources = [os.fsencode(name) for name in names]
    videos = [without_user(name) for name in names]
    clips = pa.table({SOURCE.name: pa.array(sources, SOURCE.type), VIDEO: videos})
    for field in carried.schema:
        clips = clips.append_column(field, carried[field.name])
    places = pa.table({VIDEO: clips[VIDEO], "place": pa.array(range(len(videos)), pa.int64())})
    first = places.group_by(VIDEO).aggregate([("place", "min")])["place_min"]
    kept = clips.take(first.take(pc.sort_indices(first)))
    return Listing(kept, repeated=len(videos) - kept.num_rows, ignored=ignored)
