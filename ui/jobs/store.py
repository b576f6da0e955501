"""Keeps jobs in an SQLite file and their clips in folders beside it.

It is the one place that knows how far each job is: a page that is loaded again, a second tab and
a restarted app all read it here.
"""

import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ui.jobs.advice import failure
from ui.jobs.documents import read_job, write_job
from ui.jobs.job import Job, Source, Stage, State

ID_BYTES = 12
BUSY_TIMEOUT_S = 30.0
ATTEMPTS_MAX = 3
"""So often a job may be at work when the app is killed, before it is suspected."""

TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    state TEXT NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_state ON jobs (state, created_at);
"""

ON_ITS_OWN_PAGE = (
    "$.evidence",
    "$.timeline",
    "$.result.faces",
    "$.result.speech",
    "$.result.screen_text",
    "$.result.attention",
)
LIST = (
    f"SELECT json_remove(document{', ?' * len(ON_ITS_OWN_PAGE)}) FROM jobs ORDER BY created_at DESC"
)


class JobNotFoundError(LookupError):
    """There is no job of that id: it never was, was deleted, or was too old to be kept."""


class JobStore:
    """Jobs on disk. Any number of threads and processes may use it at once."""

    def __init__(self, data: Path) -> None:
        """Makes the folder and the file, if they are not there.

        Args:
            data: folder for everything; it is made readable to its owner alone.
        """
        self._data = data
        self._file = data / "jobs.sqlite"
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.uploads.mkdir(exist_ok=True)
        with self._connected() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(TABLE)

    def create(
        self,
        name: str,
        source: Source,
        stages: tuple[str, ...],
        prepare: Callable[[Path], object] | None = None,
    ) -> Job:
        """Adds a waiting job and makes its folder.

        Args:
            prepare: is given the job's folder before anyone can see the job; if it raises, there
                is no job.
        """
        job = Job(
            id=secrets.token_urlsafe(ID_BYTES),
            name=name,
            source=source,
            created_at=datetime.now(UTC),
            stages=dict.fromkeys(stages, Stage()),
        )
        folder = self.folder(job.id)
        folder.mkdir(parents=True)
        try:
            if prepare is not None:
                prepare(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        with self._connected() as connection:
            connection.execute(
                "INSERT INTO jobs VALUES (?, ?, ?, ?)",
                (job.id, job.created_at.isoformat(), job.state, write_job(job)),
            )
        return job

    def get(self, identifier: str) -> Job:
        """The job as it is now.

        Raises:
            JobNotFoundError: there is none of that id.
        """
        with self._connected() as connection:
            return _find(connection, identifier)

    def list(self) -> list[Job]:
        """All jobs, the latest first, without what only a clip's own page shows.

        They have no evidence and no timeline, and their results no faces, words and attention:
        a list of a thousand clips is read every other second by each who looks at the library.
        """
        with self._connected() as connection:
            rows = connection.execute(LIST, ON_ITS_OWN_PAGE)
            return [read_job(row[0]) for row in rows]

    def change(self, identifier: str, edit: Callable[[Job], Job]) -> Job:
        """Replaces a job by what `edit` makes of it, as one step that nobody sees half done.

        Raises:
            JobNotFoundError: there is none of that id.
        """
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            job = edit(_find(connection, identifier))
            connection.execute(
                "UPDATE jobs SET state = ?, document = ? WHERE id = ?",
                (job.state, write_job(job), identifier),
            )
            connection.execute("COMMIT")
        return job

    def has_waiting(self) -> bool:
        """Whether a job waits to be worked on."""
        with self._connected() as connection:
            query = "SELECT EXISTS (SELECT 1 FROM jobs WHERE state = ?)"
            return bool(connection.execute(query, (State.WAITING,)).fetchone()[0])

    def claim(self) -> Job | None:
        """The job that has waited longest, now marked as being worked on; None if none waits."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute(
                "SELECT document FROM jobs WHERE state = ? ORDER BY created_at LIMIT 1",
                (State.WAITING,),
            ).fetchone()
            if row is None:
                return None
            job = read_job(row[0])
            job = replace(job, state=State.WORKING, attempts=job.attempts + 1)
            connection.execute(
                "UPDATE jobs SET state = ?, document = ? WHERE id = ?",
                (job.state, write_job(job), job.id),
            )
            connection.execute("COMMIT")
        return job

    def release(self, identifier: str) -> Job:
        """Lets a job wait again that work was begun on, as if it had not been.

        Raises:
            JobNotFoundError: there is none of that id.
        """

        def edit(job: Job) -> Job:
            return _start_over(replace(job, attempts=max(0, job.attempts - 1)))

        return self.change(identifier, edit)

    def release_all(self) -> int:
        """Lets jobs wait again that an app was working on when it was killed; says how many.

        A job that was being worked on at ATTEMPTS_MAX such ends may be their cause: it fails.
        """
        left = [job for job in self.list() if job.state is State.WORKING]
        for job in left:
            self.change(job.id, _give_up if job.attempts >= ATTEMPTS_MAX else _start_over)
        return len(left)

    def request_cancel(self, identifier: str) -> Job:
        """Asks for the job to end; one that still waits is cancelled at once, and
        one that is over stays as it is.

        Raises:
            JobNotFoundError: there is none of that id.
        """

        def edit(job: Job) -> Job:
            if job.state.is_over:
                return job
            state = State.CANCELLED if job.state is State.WAITING else job.state
            return replace(job, cancel_requested=True, state=state)

        return self.change(identifier, edit)

    def delete(self, identifier: str) -> None:
        """Removes the job with its clip; does nothing if there is none of that id."""
        with self._connected() as connection:
            connection.execute("DELETE FROM jobs WHERE id = ?", (identifier,))
        shutil.rmtree(self.folder(identifier), ignore_errors=True)

    def delete_older_than(self, days: int) -> int:
        """Removes jobs that are over and older than that; says how many."""
        limit = datetime.now(UTC) - timedelta(days=days)
        old = [job.id for job in self.list() if job.state.is_over and job.created_at < limit]
        for identifier in old:
            self.delete(identifier)
        return len(old)

    def remove_leftovers(self, older_than: timedelta) -> int:
        """Removes files that belong to no job and are older than that; says how many.

        They are uploads that nobody made a job of, and folders of which the app was killed
        before the job was stored.
        """
        limit = (datetime.now(UTC) - older_than).timestamp()
        known = {job.id for job in self.list()}
        left = [*_old_entries(self.uploads, limit)]
        left += [path for path in _old_entries(self._jobs, limit) if path.name not in known]
        for path in left:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return len(left)

    def folder(self, identifier: str) -> Path:
        """Where the job's clip and frames are.

        Raises:
            JobNotFoundError: the id could not be one of a job.
        """
        if not identifier.replace("-", "a").replace("_", "a").isalnum():
            raise JobNotFoundError(f"{identifier!r} is not the id of a job")
        return self._jobs / identifier

    @property
    def _jobs(self) -> Path:
        return self._data / "jobs"

    @property
    def data(self) -> Path:
        """The folder that everything is in."""
        return self._data

    @property
    def thumbnails(self) -> Path:
        """Where small pictures of the samples are kept."""
        return self._data / "thumbnails"

    @property
    def uploads(self) -> Path:
        """Where files are received, before a job takes them over."""
        return self._data / "uploads"

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._file, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        with closing(connection):
            yield connection


def _old_entries(folder: Path, limit: float) -> list[Path]:
    if not folder.is_dir():
        return []
    old = []
    for path in folder.iterdir():
        # It may be taken over, or removed, at this moment.
        with suppress(FileNotFoundError):
            if path.lstat().st_mtime < limit:
                old.append(path)
    return old


def _find(connection: sqlite3.Connection, identifier: str) -> Job:
    row = connection.execute("SELECT document FROM jobs WHERE id = ?", (identifier,)).fetchone()
    if row is None:
        raise JobNotFoundError(
            f"there is no clip of the id {identifier!r}: it was deleted, or is too old to be kept"
        )
    return read_job(row[0])


def _start_over(job: Job) -> Job:
    if job.cancel_requested:
        return replace(job, state=State.CANCELLED)
    stages = dict.fromkeys(job.stages, Stage())
    return replace(job, state=State.WAITING, stages=stages, evidence={}, result=None, timeline=None)


def _give_up(job: Job) -> Job:
    message = f"the app was killed {job.attempts} times while it worked on this clip"
    return replace(job, state=State.FAILED, failure=failure("AppEndedError", message))
