"""A timeline's tables as Parquet files with typed columns. Needs pyarrow (extra `research`)."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq

from vemoclap_client.formats.table import Table
from vemoclap_client.timeline import Timeline

TYPES = {str: pa.string(), float: pa.float64(), int: pa.int32()}

METADATA = b"vemoclap"
"""Key of the file's metadata: a JSON object with what the timeline is of, and what computed it."""


def table_parquet(table: Table, timeline: Timeline) -> bytes:
    """A table of a timeline as a Parquet file."""
    first = timeline.windows[0]
    about = {
        "schema_version": timeline.schema_version,
        "video": timeline.video,
        "window_s": timeline.window_s,
        "hop_s": timeline.hop_s,
        "profile": first.profile,
        "head": str(first.head),
    }
    schema = pa.schema(
        [pa.field(name, TYPES[kind]) for name, kind in table.columns.items()],
        metadata={METADATA: json.dumps(about).encode()},
    )
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), file, compression="zstd")
    return file.getvalue()
