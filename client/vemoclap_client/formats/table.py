"""A timeline as tables, for spreadsheets and data frames: windows, faces, utterances."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vemoclap_client.contract import EMOTIONS, EXPRESSIONS
from vemoclap_client.result import Judgement
from vemoclap_client.spreading import dense_rows
from vemoclap_client.timeline import Timeline

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A text that starts so is run as a formula by spreadsheets."""

JUDGED: dict[str, type] = {
    "emotion": str,
    **dict.fromkeys(EMOTIONS, float),
    "valence": float,
    "arousal": float,
}
"""Columns of what has probabilities; the emotion is empty where nothing speaks for any."""


@dataclass(frozen=True)
class Table:
    """Rows of typed columns.

    Attributes:
        columns: name -> str, float or int; any value may be None.
        rows: a value for each column.
    """

    columns: dict[str, type]
    rows: Sequence[Sequence[Any]]


def _judged(item: Judgement) -> list[Any]:
    shares = [item.probabilities[emotion] for emotion in EMOTIONS]
    return [item.emotion, *shares, item.valence, item.arousal]


def windows_table(timeline: Timeline, fps: float | None = None) -> Table:
    """A row per window, or `fps` rows per second.

    Raises:
        OutputError: they would be more than spreading.ROWS_MAX.
    """
    items = timeline.windows if fps is None else _dense(timeline, fps)
    rows = [[item.start_s, item.end_s, *_judged(item)] for item in items]
    return Table({"start_s": float, "end_s": float, **JUDGED}, rows)


def _dense(timeline: Timeline, fps: float) -> Sequence[Any]:
    return dense_rows(timeline.windows, timeline.duration_s, fps)


def utterances_table(timeline: Timeline) -> Table:
    """A row per utterance."""
    columns = {"start_s": float, "end_s": float, "text": str, "language": str, **JUDGED}
    rows = [
        [said.start_s, said.end_s, said.text, said.language, *_judged(said)]
        for said in timeline.utterances
    ]
    return Table(columns, rows)


def faces_table(timeline: Timeline) -> Table:
    """A row per face of each sampled frame; the box's edges are shares of the picture."""
    columns = {"time_s": float, "track": int, **dict.fromkeys(("x0", "y0", "x1", "y1"), float)}
    columns |= {"confidence": float, "expression": str, **dict.fromkeys(EXPRESSIONS, float)}
    rows = [
        [
            *(face.time_s, face.track, *face.box, face.confidence, face.expression),
            *(face.expressions[name] for name in EXPRESSIONS),
        ]
        for face in timeline.faces
    ]
    return Table(columns, rows)


def safe_cell(value: Any) -> Any:
    """A value as a cell: a text that a spreadsheet would run is marked as text."""
    is_formula = isinstance(value, str) and value.startswith(FORMULA)
    return f"'{value}" if is_formula else value


def write_csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as CSV (RFC 4180, lines end in CR LF); None is empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([safe_cell(value) for value in row] for row in rows)
    return text.getvalue()


def format_csv(timeline: Timeline, fps: float | None = None) -> str:
    """The table of windows as CSV."""
    return table_csv(windows_table(timeline, fps))


def table_csv(table: Table) -> str:
    """A table as CSV."""
    return write_csv(tuple(table.columns), table.rows)
