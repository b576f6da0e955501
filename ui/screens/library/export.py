"""Everything that is known of some clips as one ZIP, written while it is sent.

For each clip with a result, its JSON and its timeline's; and one table of all of them.
"""

import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from ui.application import LibraryOf
from ui.jobs.job import Job
from ui.jobs.library import Library
from ui.jobs.store import JobNotFoundError
from ui.screens.library.rows import to_row
from vemoclap_client.contract import EMOTIONS
from vemoclap_client.files import numbered, safe_name
from vemoclap_client.formats.document import format_json
from vemoclap_client.formats.table import write_csv

EXPORT_PATH = "/clips/export"
TABLE = "clips.csv"
TIMELINE = ".timeline"
TABLE_HEADER = (
    "name",
    "file",
    "state",
    "emotion",
    *EMOTIONS,
    "valence",
    "arousal",
    "duration_s",
    "profile",
    "head",
    "added",
    "problem",
)
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The same for every file, so that the same clips give the same ZIP."""


def export_url(identifiers: Sequence[str]) -> str:
    """The path at which these clips can be downloaded; all clips where none is named."""
    if not identifiers:
        return EXPORT_PATH
    return f"{EXPORT_PATH}?ids={quote(','.join(identifiers), safe=',')}"


def export_route(library_of: LibraryOf) -> Route:
    """The route to hand to Streamlit's App, beside those of ui/routes.py."""

    def export(request: Request) -> StreamingResponse:
        library = library_of(request)
        asked = request.query_params.get("ids", "")
        identifiers = [name for name in dict.fromkeys(asked.split(",")) if name]
        identifiers = identifiers or [job.id for job in library.list_jobs()]
        known = [name for name in identifiers if _get(library, name)]
        if not known:
            raise HTTPException(404, "none of these clips is there any more")
        headers = {"Content-Disposition": f'attachment; filename="{_file_name()}"'}
        return StreamingResponse(
            stream_zip(export_files(_jobs(library, known))),
            media_type="application/zip",
            headers=headers | {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"},
        )

    return Route(EXPORT_PATH, export)


def _file_name() -> str:
    return f"vemoclap-{datetime.now():%Y-%m-%d-%H%M}.zip"


def _get(library: Library, identifier: str) -> Job | None:
    try:
        return library.get(identifier)
    except JobNotFoundError:
        return None


def _jobs(library: Library, identifiers: Iterable[str]) -> Iterator[Job]:
    """The jobs one after the other; those that were deleted meanwhile are left out."""
    return filter(None, (_get(library, identifier) for identifier in identifiers))


def export_files(jobs: Iterable[Job]) -> Iterator[tuple[str, str]]:
    """The names and texts of the ZIP's files: each clip's own, and the table at the end."""
    names = UniqueNames()
    rows = []
    for job in jobs:
        name = names.take(job.name) if job.result else ""
        if job.result:
            yield f"{name}.json", format_json(job.result)
        if job.result and job.timeline:
            yield f"{name}{TIMELINE}.json", format_json(job.timeline)
        rows.append(_table_row(job, f"{name}.json" if name else ""))
    yield TABLE, write_csv(TABLE_HEADER, rows)


class UniqueNames:
    """File names that are safe on any system and differ, also where case does not count."""

    def __init__(self) -> None:
        """No name is taken but the table's."""
        self._taken = {TABLE.removesuffix(".csv")}

    def take(self, name: str) -> str:
        """A name without suffix for a clip of this name; its timeline's is its own, too."""
        for stem in numbered(safe_name(Path(name).stem)):
            names = {stem.casefold(), f"{stem}{TIMELINE}".casefold()}
            if not names & self._taken:
                break
        self._taken |= names
        return stem


def stream_zip(files: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    """A ZIP of texts, piece by piece: no more than one of them is in memory at a time."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files:
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            # A name's undecodable bytes come out as \udcXX, which is how JSON writes them too.
            archive.writestr(entry, text.encode("utf-8", "backslashreplace"))
            yield sink.take()
    yield sink.take()


class _Sink(io.RawIOBase):
    """Takes what a ZipFile writes, and cannot seek: the ZIP then needs no looking back."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _table_row(job: Job, file: str) -> list[Any]:
    probabilities = job.result.probabilities if job.result else {}
    row = to_row(job) | probabilities | {"file": file, "added": job.created_at.isoformat()}
    row["emotion"] = job.result.emotion if job.result else None
    row["duration_s"] = job.known.duration_s
    return [row.get(column) for column in TABLE_HEADER]
