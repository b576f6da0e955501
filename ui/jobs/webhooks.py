"""Which finished jobs are still to be sent to which webhook: a table of the store's SQLite file."""

import sqlite3
import time
from typing import NamedTuple

from ui.jobs.job import State
from ui.jobs.store import JobStore

WAITING, DELIVERED, FAILED = "waiting", "delivered", "failed"
OVER = tuple(str(state) for state in State if state.is_over)
LEASE_S = 180.0
"""For so long nobody else sends what was taken; longer than looking up a name and sending take."""


class Webhook(NamedTuple):
    """Where a job is sent when it is over.

    Attributes:
        state: WAITING, DELIVERED or FAILED.
        tries: how often it was sent, with the one that is under way.
        error: what the last try failed of; empty where none failed.
    """

    job_id: str
    url: str
    state: str
    tries: int
    error: str


COLUMNS = ", ".join(Webhook._fields)
TAKE = f"""
UPDATE webhooks SET tries = tries + 1, next_at = ? WHERE job_id = (
    SELECT job_id FROM webhooks JOIN jobs ON jobs.id = job_id
    WHERE webhooks.state = '{WAITING}' AND next_at <= ?
        AND jobs.state IN ({", ".join("?" * len(OVER))})
    ORDER BY next_at LIMIT 1
) RETURNING {COLUMNS}
"""


class WebhookStore:
    """The webhooks of the jobs of a store; one is deleted with its job."""

    def __init__(self, store: JobStore) -> None:
        """Of the store that has the jobs."""
        self._store = store

    def add(self, job_id: str, url: str) -> None:
        """Has a job sent to a URL when it is over."""
        with self._store.connected() as connection:
            connection.execute(
                "INSERT INTO webhooks VALUES (?, ?, ?, 0, 0, '')", (job_id, url, WAITING)
            )

    def get(self, job_id: str) -> Webhook | None:
        """A job's webhook; None if it has none."""
        with self._store.connected() as connection:
            query = f"SELECT {COLUMNS} FROM webhooks WHERE job_id = ?"
            return _webhook(connection.execute(query, (job_id,)).fetchone())

    def take(self) -> Webhook | None:
        """One that is to be sent now, counted as a try; None if none is.

        An app that is killed while it sends it leaves it to be sent again.
        """
        now = time.time()
        with self._store.connected() as connection:
            row = connection.execute(TAKE, (now + LEASE_S, now, *OVER)).fetchone()
        return _webhook(row)

    def end(self, job_id: str, error: str = "") -> None:
        """Nothing more is sent: it was delivered or, with an error, given up."""
        self._set(job_id, FAILED if error else DELIVERED, 0, error)

    def postpone(self, job_id: str, delay_s: float, error: str) -> None:
        """It is sent again after that time."""
        self._set(job_id, WAITING, time.time() + delay_s, error)

    def _set(self, job_id: str, state: str, next_at: float, error: str) -> None:
        with self._store.connected() as connection:
            connection.execute(
                "UPDATE webhooks SET state = ?, next_at = ?, error = ? WHERE job_id = ?",
                (state, next_at, error, job_id),
            )


def _webhook(row: sqlite3.Row | None) -> Webhook | None:
    return Webhook(*row) if row else None
