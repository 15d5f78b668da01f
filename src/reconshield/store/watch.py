"""Has the database changed? Asked in microseconds, so that what was read can be kept for as long as it is true.

SQLite counts, for each connection, how often any other one has committed (`PRAGMA data_version`), in this process or another.
One connection that never writes therefore sees every change. What was read after a stamp was taken and is kept under it is
right for as long as the stamp stays the same; a change in between only means that it is read once more than needed.
PostgreSQL has nothing that costs less than the questions themselves: there is no stamp there, and nothing is kept.
"""

from __future__ import annotations

import sqlite3
import threading
from itertools import count
from pathlib import Path

Stamp = tuple[int, int]
"""Of which connection of this process, and what it counted."""
NUMBERS = count()


class Watch:
    """Looks at one SQLite file, or with None at nothing. May be asked from any thread; it never waits for a writer."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._lock = path, threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._number = 0

    def stamp(self) -> Stamp | None:
        """What stays the same until something is committed; None where that cannot be said now."""
        if self._path is None:
            return None
        with self._lock:
            try:
                connection = self._connection or self._connect(self._path)
                return self._number, connection.execute("PRAGMA data_version").fetchone()[0]
            except sqlite3.Error:  # whoever asks the database itself says what is wrong with it
                self._close()
                return None

    def close(self) -> None:
        with self._lock:
            self._close()

    def _connect(self, path: Path) -> sqlite3.Connection:
        made = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None, check_same_thread=False)
        self._connection, self._number = made, next(NUMBERS)
        return made

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
