"""The sessions that ended before their time: their cookies are valid, and count no more."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

BUSY_TIMEOUT_S = 30.0
TABLE = "CREATE TABLE IF NOT EXISTS ended (id TEXT PRIMARY KEY, until REAL NOT NULL)"


class EndedSessions:
    """Ids of sessions in an SQLite file, so that a restart of the app does not revive them."""

    def __init__(self, folder: Path) -> None:
        """Makes the file, if it is not there; the folder is."""
        self._path = folder / "sessions.sqlite"
        with self._connected() as connection:
            connection.execute(TABLE)

    def __contains__(self, identifier: object) -> bool:
        with self._connected() as connection:
            query = "SELECT EXISTS (SELECT 1 FROM ended WHERE id = ?)"
            return bool(connection.execute(query, (identifier,)).fetchone()[0])

    def add(self, identifier: str, until: float) -> None:
        """Ends a session; `until`, in seconds since 1970, it would have ended by itself."""
        with self._connected() as connection:
            connection.execute("DELETE FROM ended WHERE until < ?", (time.time(),))
            connection.execute("INSERT OR IGNORE INTO ended VALUES (?, ?)", (identifier, until))

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        with closing(connection):
            yield connection
