"""A batch, from its input to its files."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vemoclap_client import errors
from vemoclap_client.batch.listing import SOURCE, Listing, list_clips
from vemoclap_client.batch.parts import Parts, open_parts
from vemoclap_client.batch.pipeline import classify_clips, processors, running_ray
from vemoclap_client.batch.rows import NUMBER, STOPS, VIDEO, store_schema
from vemoclap_client.batch.worker import Settings
from vemoclap_client.errors import BatchError


@dataclass
class Tally:
    """What became of the clips.

    Attributes:
        count: clips of the input.
        before: of these, how many had a row at the start.
        done: rows that were added.
        failed: of these, how many with an error.
        per_s: clips per second, from the first rows on: Ray's start takes seconds.
    """

    count: int
    before: int
    done: int = 0
    failed: int = 0
    per_s: float = 0.0
    _first: tuple[float, int] | None = None

    def add(self, done: int, failed: int) -> None:
        """Counts rows that came."""
        self.done += done
        self.failed += failed
        now = time.monotonic()
        began, at_once = self._first = self._first or (now, done)
        if now > began:
            self.per_s = (self.done - at_once) / (now - began)

    def render(self) -> str:
        """How far it is, in words."""
        parts = [f"{self.before + self.done:,} of {self.count:,} clips"]
        parts += [f"{self.before:,} from before"] if self.before else []
        parts += [f"{self.failed:,} failed"] if self.failed else []
        parts += [f"{self.per_s:.2f} clips/s"] if self.per_s else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Batch:
    """What to do.

    Attributes:
        given: INPUT.
        folder: of the Parquet files.
        workers: processes; by default as many as the cluster has processors.
        ray_address: of a cluster; None for a Ray of this process's own.
        retry_failed: do the clips again whose rows have an error.
    """

    given: str
    folder: Path
    settings: Settings
    workers: int | None = None
    ray_address: str | None = None
    retry_failed: bool = False

    def run(self, say: Callable[[str], None], progress: Callable[[str], None]) -> Tally:
        """Classifies the clips that have no row yet.

        Args:
            say: takes a line for people.
            progress: takes how far it is, often.

        Raises:
            BatchError: it cannot begin or go on; what is done is kept.
            ServerError: no server answers, or they stay busy.
            OutputError: the disk is full.
        """
        listing = list_clips(self.given)
        _say_what_is_left_out(listing, say)
        settings = self.settings
        asked = {"frames": settings.frame_format.value, "audio_track": settings.audio_track}
        carried = [f for f in listing.clips.schema if f.name not in (SOURCE.name, VIDEO)]
        schema = store_schema(pa.schema(carried), settings.features, asked)
        with open_parts(self.folder, schema) as parts:
            if self.retry_failed:
                parts.forget_failed(listing.clips[VIDEO])
            is_done = pc.is_in(listing.clips[VIDEO], value_set=parts.done.combine_chunks())
            waiting = listing.clips.filter(pc.invert(is_done))
            numbers = pa.array(range(waiting.num_rows), NUMBER.type)
            waiting = waiting.append_column(NUMBER, numbers)
            count = listing.clips.num_rows
            tally = Tally(count, count - waiting.num_rows)
            if waiting.num_rows:
                progress("starts Ray")
                with running_ray(self.ray_address):
                    self._classify(waiting, parts, tally, progress)
        return tally

    def _classify(
        self, waiting: pa.Table, parts: Parts, tally: Tally, progress: Callable[[str], None]
    ) -> None:
        has_row = np.zeros(waiting.num_rows, bool)
        found = classify_clips(waiting, self.settings, self.workers or processors())
        with closing(found):
            for rows in found:
                # Ray promises each row once; that a clip has one row is decided here.
                numbers = rows[NUMBER.name].to_numpy()
                rows = rows.filter(pa.array(~has_row[numbers]))
                stopped = rows.filter(rows[STOPS.name])
                rows = rows.filter(pc.invert(rows[STOPS.name]))
                has_row[rows[NUMBER.name].to_numpy()] = True
                if rows.num_rows:
                    parts.add(_joined(waiting, rows, parts.schema))
                tally.add(rows.num_rows, pc.sum(pc.not_equal(rows["exit_code"], 0)).as_py() or 0)
                progress(tally.render())
                if stopped.num_rows:
                    raise _error_of(stopped.slice(0, 1).to_pylist()[0], tally)
        if missing := int(np.sum(~has_row)):
            raise BatchError(f"{missing} clips have no row yet. The same command goes on.")


def _joined(waiting: pa.Table, rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows with the names of their clips and the columns that are carried through."""
    clips = waiting.take(rows[NUMBER.name])
    columns = [(clips if n in clips.column_names else rows)[n] for n in schema.names]
    return pa.table(columns, schema=schema)


def _error_of(row: dict[str, Any], tally: Tally) -> errors.VemoclapError:
    kind: type[errors.VemoclapError] = getattr(errors, row["error_type"])
    return kind(
        f"{row['error_message']} The batch stops here, with rows of {tally.before + tally.done} of "
        f"{tally.count} clips; the same command goes on."
    )


def _say_what_is_left_out(listing: Listing, say: Callable[[str], None]) -> None:
    if listing.repeated:
        say(f"listed more than once, and done once: {listing.repeated}")
    if listing.ignored:
        say(f"left out, no videos by their names: {listing.ignored} files")
