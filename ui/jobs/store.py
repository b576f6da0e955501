"""Keeps jobs in an SQLite file and their clips in folders beside it.

It is the one place that knows how far each job is: a page that is loaded again, a second tab and
a restarted app all read it here.
"""

import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from ui.files import old_entries, size_bytes
from ui.jobs.documents import read
from ui.jobs.ended import give_up, start_over
from ui.jobs.job import Job, ListedJob, Source, Stage, StageState, State
from ui.jobs.table import (
    NEXT,
    OWNED,
    POSITION,
    SELECT_LISTED,
    JobNotFoundError,
    find,
    find_owner,
    insert,
    make_table,
    update,
)
from ui.owners import EVERYONE, Owner
from vemoclap_client.files import remove

__all__ = ["JobNotFoundError", "JobStore"]

ID_BYTES = 12
BUSY_TIMEOUT_S = 30.0
ATTEMPTS_MAX = 3
"""So often a job may be at work when the app is killed, before it is suspected."""


class JobStore:
    """Jobs on disk. Any number of threads and processes may use it at once.

    Attributes:
        data: the folder that everything is in.
        uploads: folder of received files, before a job takes them over.
        thumbnails: folder of small pictures of the samples.
    """

    def __init__(self, data: Path) -> None:
        """Makes the folder and the file, if they are not there.

        Args:
            data: folder for everything; it is made readable to its owner alone.
        """
        self.data = data
        self.uploads = data / "uploads"
        self.thumbnails = data / "thumbnails"
        self._jobs = data / "jobs"
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.uploads.mkdir(exist_ok=True)
        with self.connected() as connection:
            make_table(connection)

    def create(
        self,
        name: str,
        source: Source,
        stages: tuple[str, ...],
        prepare: Callable[[Path], object] | None = None,
        owner: Owner = EVERYONE,
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
            remove(folder)
            raise
        with self.connected() as connection:
            insert(connection, job, owner)
        return job

    def get(self, identifier: str, owner: Owner = EVERYONE) -> Job:
        """The job as it is now; one whose document cannot be read is a failed job.

        Raises:
            JobNotFoundError: the owner has none of that id.
        """
        with self.connected() as connection:
            return find(connection, identifier, owner)

    def list_jobs(self, owner: Owner = EVERYONE) -> list[ListedJob]:
        """All jobs of an owner, the latest first."""
        with self.connected() as connection:
            rows = connection.execute(
                f"{SELECT_LISTED} WHERE {OWNED} ORDER BY created_at DESC", {"owner": owner.key}
            )
            return [read(row, ListedJob) for row in rows]

    def page(self, limit: int, after: str, owner: Owner = EVERYONE) -> list[ListedJob]:
        """Up to `limit` jobs of an owner, the latest first.

        Args:
            after: page_position of the job that the page before ended with; empty for the first.
        """
        with self.connected() as connection:
            rows = connection.execute(
                f"{SELECT_LISTED} WHERE {OWNED} AND (:after = '' OR {POSITION} < :after) "
                f"ORDER BY {POSITION} DESC LIMIT :limit",
                {"owner": owner.key, "after": after, "limit": limit},
            )
            return [read(row, ListedJob) for row in rows]

    def latest_done(self, owner: Owner = EVERYONE) -> ListedJob | None:
        """The owner's latest job that is done and can be read; None if there is none."""
        with self.connected() as connection:
            # Rows are read one by one: it is the first that counts.
            rows = connection.execute(
                f"{SELECT_LISTED} WHERE state = :state AND {OWNED} ORDER BY created_at DESC",
                {"state": State.DONE, "owner": owner.key},
            )
            return next((job for row in rows if (job := read(row, ListedJob)).result), None)

    def change(self, identifier: str, edit: Callable[[Job], Job]) -> Job:
        """Replaces a job by what `edit` makes of it, as one step that nobody sees half done.

        Raises:
            JobNotFoundError: there is none of that id.
        """
        with self.connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            job = find(connection, identifier, EVERYONE)
            edited = edit(job)
            if edited is not job:
                update(connection, edited)
            connection.execute("COMMIT")
        return edited

    def count_waiting(self) -> int:
        """How many jobs wait to be worked on."""
        with self.connected() as connection:
            query = "SELECT COUNT(*) FROM jobs WHERE state = ?"
            return int(connection.execute(query, (State.WAITING,)).fetchone()[0])

    def count_states(self, owner: Owner) -> Counter[str]:
        """How many jobs of an owner are in each state; one that cannot be read, in its last."""
        with self.connected() as connection:
            query = f"SELECT state, COUNT(*) FROM jobs WHERE {OWNED} GROUP BY state"
            return Counter(dict(connection.execute(query, {"owner": owner.key})))

    def owner_of(self, identifier: str) -> Owner:
        """Whose a job is.

        Raises:
            JobNotFoundError: there is none of that id.
        """
        with self.connected() as connection:
            return find_owner(connection, identifier)

    def used_bytes(self, owner: Owner) -> int:
        """What an owner has on the disk: clips, frames, and received files without a job."""
        with self.connected() as connection:
            rows = connection.execute(f"SELECT id FROM jobs WHERE {OWNED}", {"owner": owner.key})
            folders = [self.folder(identifier) for (identifier,) in rows]
        received = self.uploads.glob(f"{owner.tag}-*")
        return sum(map(size_bytes, folders)) + sum(map(size_bytes, received))

    def claim(self) -> Job | None:
        """The next job, now marked as being worked on; None if none waits.

        It is the one that has waited longest, of the owners of whom the fewest are worked on.
        """
        with self.connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute(NEXT, {"waiting": State.WAITING, "working": State.WORKING})
            row = row.fetchone()
            if row is None:
                return None
            job = read(row, Job)
            if not job.state.is_over:
                job = replace(job, state=State.WORKING, attempts=job.attempts + 1)
            update(connection, job)
            connection.execute("COMMIT")
        return self.claim() if job.state.is_over else job

    def release(self, identifier: str) -> Job:
        """Undoes that work was begun on a job; see start_over.

        Raises:
            JobNotFoundError: there is none of that id.
        """

        def edit(job: Job) -> Job:
            # Of a job that has its result, work is begun when its timeline is.
            is_begun = job.result is None or job.stages["timeline"].state is StageState.WORKING
            return start_over(replace(job, attempts=max(0, job.attempts - is_begun)))

        return self.change(identifier, edit)

    def release_all(self) -> list[str]:
        """Has jobs begin anew that an app had not finished when it ended.

        A job that was being worked on at ATTEMPTS_MAX such ends may be their cause: it fails.

        Returns:
            The ids of those that have their result and lack their timeline, the oldest first.
        """
        left = [job for job in reversed(self.list_jobs()) if job.state is State.WORKING]
        released = [
            self.change(job.id, give_up if job.attempts >= ATTEMPTS_MAX else start_over)
            for job in left
        ]
        return [job.id for job in released if job.state is State.WORKING]

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
        with self.connected() as connection:
            connection.execute("DELETE FROM jobs WHERE id = ?", (identifier,))
        remove(self.folder(identifier))

    def delete_older_than(self, days: int) -> int:
        """Removes jobs that are over and older than that; says how many."""
        limit = datetime.now(UTC) - timedelta(days=days)
        old = [job.id for job in self.list_jobs() if job.state.is_over and job.created_at < limit]
        for identifier in old:
            self.delete(identifier)
        return len(old)

    def remove_leftovers(self, older_than: timedelta) -> int:
        """Removes files that belong to no job and are older than that; says how many.

        They are uploads that nobody made a job of, and folders of which the app was killed
        before the job was stored.
        """
        limit = (datetime.now(UTC) - older_than).timestamp()
        known = {job.id for job in self.list_jobs()}
        left = [*old_entries(self.uploads, limit)]
        left += [path for path in old_entries(self._jobs, limit) if path.name not in known]
        for path in left:
            remove(path)
        return len(left)

    def folder(self, identifier: str) -> Path:
        """Where the job's clip and frames are.

        Raises:
            JobNotFoundError: the id could not be one of a job.
        """
        if not identifier.replace("-", "a").replace("_", "a").isalnum():
            raise JobNotFoundError(f"{identifier!r} is not the id of a job")
        return self._jobs / identifier

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """A connection to the SQLite file, for what is kept in it beside the jobs."""
        connection = sqlite3.connect(
            self.data / "jobs.sqlite", timeout=BUSY_TIMEOUT_S, isolation_level=None
        )
        with closing(connection):
            yield connection
