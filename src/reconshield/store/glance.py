"""One small question for the quick commands: was this port seen open, and when? With the standard library alone.

`reconshield port 110` must answer in a quarter of a second, so it may load neither SQLAlchemy nor NumPy, must not create or
migrate a database, and must not wait for one: whatever is missing, locked, foreign or slow gives an empty answer.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path

from reconshield.store.escape import unescape_text

PATIENCE = 0.05  # seconds, for the lock and again for the query

# CROSS JOIN keeps SQLite at this order: newest runs first, then one step into the key of the open endpoints.
NEWEST = """
SELECT o.ip, o.port, o.transport, o.at, r.id, s.service, s.product
FROM (SELECT workspace, id, key FROM runs WHERE workspace = :workspace ORDER BY id DESC LIMIT 200) r
CROSS JOIN observations o ON o.run_key = r.key AND o.port = :port AND o.transport IN (6, 17)
LEFT JOIN services s
  ON s.workspace = r.workspace AND s.run = r.id AND s.ip = o.ip AND s.port = o.port AND s.transport = o.transport
ORDER BY r.id DESC, o.at DESC LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """An endpoint that was open in a run; `at` in Unix seconds. `service` is None when nobody spoke to it."""

    ip: str
    port: int
    transport: str
    at: float
    run: str
    service: str | None
    product: str | None


def last_seen(path: Path, port: int, workspace: str = "main", limit: int = 5) -> list[Seen]:
    """The newest open endpoints on this port, newest first; nothing when there is no database to ask."""
    if not path.is_file():
        return []
    deadline = time.monotonic() + PATIENCE
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 1000)
            rows = connection.execute(NEWEST, {"workspace": workspace, "port": port, "limit": limit}).fetchall()
    except sqlite3.Error:  # the answer does without it, as it does on a machine that never scanned
        return []
    return [seen_of(*row) for row in rows]


def seen_of(packed: bytes, port: int, transport: int, at: float, run: str, service: str | None, product: str | None) -> Seen:
    address = IPv6Address(packed)
    spoken = (unescape_text(text) if text is not None else None for text in (service, product))
    return Seen(str(address.ipv4_mapped or address), port, "tcp" if transport == 6 else "udp", at, run, *spoken)
