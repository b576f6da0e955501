"""The folder of Parquet files: which clips are in it, and rows that are added.

part-00001.parquet, part-00002.parquet ... Only one process writes, and it replaces a file by a
whole one: killed at any moment it leaves files that can be read, in which each clip is once.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vemoclap_client import files
from vemoclap_client.batch.rows import METADATA, VIDEO
from vemoclap_client.errors import BatchStoreError

ROWS_PER_PART = 1000
BYTES_PER_PART = 64_000_000
"""Of a part in memory. Rows with features are 100 to 200 kB each."""

WRITE_EVERY_S = 10.0
"""A part that is not full is written with the first rows, and replaced after this time: what a
killed batch has to do again."""

PATTERN = "part-*.parquet"
SERVED = ("profile", "head")


class Parts:
    """A batch's rows. Use `open_parts`, which locks the folder.

    Attributes:
        done: the videos that were there at the start.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        """Reads what is there.

        Raises:
            BatchStoreError: it has other columns or settings, or cannot be read.
        """
        self.folder, self.schema = folder, schema
        for unfinished in folder.glob(f".{PATTERN}.*{files.UNFINISHED}"):
            unfinished.unlink()
        self.done: Any = pa.chunked_array([], pa.string())
        self._served: tuple[str, str] | None = None
        paths = self._paths()
        for path in paths:
            rows = self._read(path, [VIDEO, *SERVED])
            self.done = pa.chunked_array([*self.done.chunks, *rows[VIDEO].chunks])
            self._check_served(rows)
        self._number = max((int(path.stem.rpartition("-")[2]) for path in paths), default=0) + 1
        self._tables: list[pa.Table] = []
        self._written_at = -math.inf

    def forget_failed(self, videos: pa.ChunkedArray) -> None:
        """Removes the rows of those of these videos that failed.

        Raises:
            BatchStoreError: they cannot be read.
            OutputError: the disk is full.
        """
        done: list[pa.Array] = []
        for path in self._paths():
            rows = self._read(path, [VIDEO, "exit_code"])
            failed = pc.not_equal(rows["exit_code"], 0)
            is_kept = pc.invert(pc.and_(failed, pc.is_in(rows[VIDEO], value_set=videos)))
            kept = rows.filter(is_kept)
            if not kept.num_rows:
                path.unlink()
            elif kept.num_rows < rows.num_rows:
                _write(path, self._read(path).filter(is_kept))
            done += kept[VIDEO].chunks
        self.done = pa.chunked_array(done, pa.string())

    def add(self, rows: pa.Table) -> None:
        """Takes rows of clips that are not there yet, and writes now and then.

        Raises:
            BatchStoreError: another profile or head made them than those that are there.
            OutputError: the disk is full.
        """
        self._check_served(rows)
        self._tables.append(rows.cast(self.schema))
        is_full = (
            sum(table.num_rows for table in self._tables) >= ROWS_PER_PART
            or sum(table.nbytes for table in self._tables) >= BYTES_PER_PART
        )
        if is_full or time.monotonic() - self._written_at >= WRITE_EVERY_S:
            self.write()
        if is_full:
            self._tables, self._number = [], self._number + 1

    def write(self) -> None:
        """Writes what was added since the last full part, in place of what is there of it."""
        if self._tables:
            _write(self._path(self._number), pa.concat_tables(self._tables))
        self._written_at = time.monotonic()

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob(PATTERN))

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:05}.parquet"

    def _read(self, path: Path, columns: list[str] | None = None) -> pa.Table:
        try:
            found = pq.read_schema(path)
            if not found.equals(self.schema) or found.metadata != self.schema.metadata:
                raise BatchStoreError(
                    f"{path} has other columns or settings than this batch would write: "
                    f"{_differences(found, self.schema)}. Choose another folder."
                )
            return pq.read_table(path, columns=columns)
        except (OSError, pa.ArrowInvalid) as error:
            raise BatchStoreError(
                f"{path} cannot be read: {error}. Remove it, and its clips are done again."
            ) from error

    def _check_served(self, rows: pa.Table) -> None:
        """The rows of two heads never lie in one folder."""
        pairs = rows.select(SERVED).group_by(list(SERVED)).aggregate([])
        for pair in pairs.to_pylist():
            served = (pair["profile"], pair["head"])
            if served == (None, None):
                continue
            if self._served not in (None, served):
                raise BatchStoreError(
                    f"{self.folder} holds results of {_named(self._served)}, and a server answers "
                    f"with {_named(served)}. Serve the same everywhere, or choose another folder."
                )
            self._served = served


@contextmanager
def open_parts(folder: Path, schema: pa.Schema) -> Iterator[Parts]:
    """The rows in a folder, which is made, and which no other batch writes to meanwhile.

    Rows that were added are written at the end of the block, after an error too.

    Args:
        folder: on this machine, or mounted.
        schema: of rows.store_schema.

    Raises:
        BatchStoreError: as Parts, or another batch writes there.
        OutputError: the folder cannot be made or written to.
    """
    files.check_writable([folder / PATTERN])
    try:
        with files.locked(folder, wait=False):
            parts = Parts(folder, schema)
            try:
                yield parts
            finally:
                parts.write()
    except BlockingIOError as error:
        raise BatchStoreError(f"another batch writes to {folder}: wait for its end") from error


def _write(path: Path, rows: pa.Table) -> None:
    files.write(path, lambda file: pq.write_table(rows, file, compression="zstd"))


def _named(served: tuple[str, str] | None) -> str:
    profile, head = served or ("", "")
    return f"profile {profile}, head {head}"


def _differences(found: pa.Schema, wanted: pa.Schema) -> str:
    differ = sorted({*found.names} ^ {*wanted.names})
    if differ:
        return f"columns {', '.join(differ)}"
    told = [(schema.metadata or {}).get(METADATA, b"").decode() for schema in (found, wanted)]
    return f"{told[0]}, not {told[1]}" if told[0] != told[1] else "the types of its columns"
