"""The tables of the SQLite file, and the rows of the table of jobs as jobs."""

import sqlite3

from ui.jobs.documents import encode, is_unreadable, read, summary
from ui.jobs.job import BaseJob, Job
from ui.owners import Owner

TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    state TEXT NOT NULL,
    document TEXT NOT NULL,
    owner TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS by_state ON jobs (state, created_at);
CREATE TABLE IF NOT EXISTS summaries (job_id TEXT PRIMARY KEY, summary TEXT) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS summary_of_changed_job AFTER UPDATE OF document ON jobs
    BEGIN DELETE FROM summaries WHERE job_id = OLD.id; END;
CREATE TRIGGER IF NOT EXISTS summary_of_deleted_job AFTER DELETE ON jobs
    BEGIN DELETE FROM summaries WHERE job_id = OLD.id; END;
CREATE TABLE IF NOT EXISTS webhooks (
    job_id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL,
    next_at REAL NOT NULL,
    error TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS webhooks_by_time ON webhooks (next_at) WHERE state = 'waiting';
CREATE TRIGGER IF NOT EXISTS webhook_of_deleted_job AFTER DELETE ON jobs
    BEGIN DELETE FROM webhooks WHERE job_id = OLD.id; END;
"""
ADD_OWNER = "ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT ''"
INDEX_OWNER = "CREATE INDEX IF NOT EXISTS by_owner ON jobs (owner, created_at)"
ADD_SUMMARIES = """INSERT INTO summaries SELECT id, summary_of(id, created_at, document) FROM jobs
    WHERE id NOT IN (SELECT job_id FROM summaries)"""
SUMMARIES_VERSION = 1
"""To be raised where a ListedJob changes: all are made anew then."""

SELECT = "SELECT id, created_at, document FROM jobs"
SELECT_LISTED = """SELECT id, created_at, COALESCE(summary, document)
    FROM jobs LEFT JOIN summaries ON job_id = id"""
"""Rows for ListedJob. A job whose document another release wrote may have no summary."""

OWNED = "(owner = :owner OR :owner = '')"
"""Condition: the job is one that the owner of this key sees."""

POSITION = "created_at || '~' || id"
"""See page_position."""

NEXT = f"""{SELECT} AS next WHERE state = :waiting ORDER BY (
    SELECT COUNT(*) FROM jobs WHERE state = :working AND owner = next.owner
), created_at LIMIT 1"""


class JobNotFoundError(LookupError):
    """There is no job of that id: it never was, was deleted, or was too old to be kept.

    A job of another owner is none, too.
    """


def make_table(connection: sqlite3.Connection) -> None:
    """Makes the tables; those of an older release get what they lack. Its jobs have no owner."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(TABLES)
    connection.execute("BEGIN IMMEDIATE")
    columns = {row[1] for row in connection.execute("PRAGMA table_info(jobs)")}
    if "owner" not in columns:
        connection.execute(ADD_OWNER)
    connection.execute(INDEX_OWNER)
    connection.create_function("summary_of", 3, summary)
    if connection.execute("PRAGMA user_version").fetchone()[0] != SUMMARIES_VERSION:
        connection.execute("DELETE FROM summaries")
        connection.execute(f"PRAGMA user_version = {SUMMARIES_VERSION}")
    connection.execute(ADD_SUMMARIES)
    connection.execute("COMMIT")


def page_position(job: BaseJob) -> str:
    """Where a job is among all, by age: it stays so when the job is deleted."""
    return f"{job.created_at.isoformat()}~{job.id}"


def insert(connection: sqlite3.Connection, job: Job, owner: Owner) -> None:
    """Adds the row of a new job."""
    document = encode(job)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "INSERT INTO jobs (id, created_at, state, document, owner) VALUES (?, ?, ?, ?, ?)",
        (job.id, job.created_at.isoformat(), job.state, document, owner.key),
    )
    _summarize(connection, job, document)
    connection.execute("COMMIT")


def find(connection: sqlite3.Connection, identifier: str, owner: Owner) -> Job:
    """The job of that id, if the owner sees it.

    Raises:
        JobNotFoundError: there is none.
    """
    row = connection.execute(
        f"{SELECT} WHERE id = :id AND {OWNED}", {"id": identifier, "owner": owner.key}
    ).fetchone()
    if row is None:
        raise _not_found(identifier)
    return read(row, Job)


def find_owner(connection: sqlite3.Connection, identifier: str) -> Owner:
    """Whose the job of that id is.

    Raises:
        JobNotFoundError: there is none.
    """
    row = connection.execute("SELECT owner FROM jobs WHERE id = ?", (identifier,)).fetchone()
    if row is None:
        raise _not_found(identifier)
    return Owner(row[0])


def update(connection: sqlite3.Connection, job: Job) -> None:
    """Replaces the row of a job; its owner stays."""
    if is_unreadable(job):
        # Another release of the app may read it: the document stays as it is.
        connection.execute("UPDATE jobs SET state = ? WHERE id = ?", (job.state, job.id))
    else:
        document = encode(job)
        connection.execute(
            "UPDATE jobs SET state = ?, document = ? WHERE id = ?",
            (job.state, document, job.id),
        )
        _summarize(connection, job, document)


def _summarize(connection: sqlite3.Connection, job: Job, document: str) -> None:
    values = (job.id, summary(job.id, job.created_at.isoformat(), document))
    connection.execute("INSERT INTO summaries VALUES (?, ?)", values)


def _not_found(identifier: str) -> JobNotFoundError:
    return JobNotFoundError(
        f"there is no clip of the id {identifier!r}: it was deleted, or is too old to be kept"
    )
