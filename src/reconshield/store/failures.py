"""What goes wrong with a database, in words: the one place where an engine's error becomes a `StoreError`.

`explained` wraps opening and every transaction. An error with a known cause (locked, full, read-only, not a database, server
gone) is raised as a sentence with what, where and next; everything else is a bug of ours and passes through untouched.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from reconshield.errors import StoreError

Advice = tuple[str, str]
"""What is wrong, and what to do next."""

AGAIN = "then run the same command again; what was reported as saved is kept"

SQLITE: dict[int, Advice] = {
    sqlite3.SQLITE_PERM: ("the database may not be accessed", "look at the owner and the mode of the file"),
    sqlite3.SQLITE_BUSY: ("the database is locked by another process", f"wait for that process or end it, {AGAIN}"),
    sqlite3.SQLITE_LOCKED: ("the database is locked by another process", f"wait for that process or end it, {AGAIN}"),
    sqlite3.SQLITE_READONLY: (
        "the database is read-only",
        "make the file and its directory writable, or give another with --db",
    ),
    sqlite3.SQLITE_IOERR: (
        "the disk refuses to read or write the database",
        f"look at free space, quota and the disk, {AGAIN}",
    ),
    sqlite3.SQLITE_CORRUPT: ("the database is damaged", "restore a backup (docs/store.md), or give another with --db"),
    sqlite3.SQLITE_FULL: ("the disk is full", f"make room, {AGAIN}"),
    sqlite3.SQLITE_CANTOPEN: ("the database cannot be opened", "look at the path and the rights on its directory, or use --db"),
    sqlite3.SQLITE_NOTADB: ("this file is not a database", "give the path of a ReconShield database with --db"),
}

POSTGRES: dict[str, Advice] = {
    "28": ("PostgreSQL refuses the login", "check user and password in the database URL, and pg_hba.conf on the server"),
    "3D": ("PostgreSQL has no database of that name", "make it with createdb, or correct the URL given with --db"),
    "25006": ("the PostgreSQL database is read-only", "give the URL of the primary server with --db"),
    "42501": ("the PostgreSQL user may not do this", "give the user the right to create and write tables in the schema"),
    "53100": ("the disk of the PostgreSQL server is full", f"make room, {AGAIN}"),
    "53": ("the PostgreSQL server is out of resources", f"free memory or connections on the server, {AGAIN}"),
    "55P03": ("the database is locked by another process", f"wait for that process or end it, {AGAIN}"),
    "40": ("PostgreSQL gave up this transaction in favour of another", "run the same command again"),
    "57": ("the PostgreSQL server is stopping or starting", f"wait until it is up, {AGAIN}"),
    "58": ("the PostgreSQL server reports a fault of its system", "look at the server's log and disk"),
    "08": ("the connection to PostgreSQL was lost", f"look at the server and the network, {AGAIN}"),
}


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Raise known troubles of the database named `where` as `StoreError`."""
    try:
        yield
    except Exception as error:
        known = explain_error(error, where)
        if known is None:
            raise
        raise known from error


def explain_error(error: Exception, where: str) -> StoreError | None:
    """The sentence for this error, or None when it is not the database's fault."""
    cause = getattr(error, "orig", None) or error  # SQLAlchemy keeps the engine's own error there
    if isinstance(cause, sqlite3.Error):
        advice = SQLITE.get((getattr(cause, "sqlite_errorcode", None) or 0) & 0xFF)
    elif type(cause).__module__.startswith("psycopg"):  # not imported: most people have SQLite only
        advice = advise_postgres(cause)
    else:
        return None
    return StoreError(advice[0], where=where, hint=advice[1]) if advice else None


def advise_postgres(cause: Exception) -> Advice | None:
    """By SQLSTATE, its class, or, when the server never answered, by the client's text (which has no password)."""
    code = getattr(cause, "sqlstate", None)
    if code:
        return POSTGRES.get(code) or POSTGRES.get(code[:2])
    text = str(cause).partition("\n")[0]
    if type(cause).__name__ == "ProgrammingError":
        wrong = "connection option" in text
        return (text, "correct the part after ? in the database URL") if wrong else None
    if not any(base.__name__ in {"OperationalError", "InterfaceError"} for base in type(cause).__mro__):
        return None
    reason = (text.rpartition("failed: ")[2] or text).removeprefix("FATAL:").strip()
    reason = reason[:1].lower() + reason[1:]
    if "password" in reason or "authentication" in reason:  # at connection time libpq gives text without a code
        return POSTGRES["28"]
    if "does not exist" in reason:
        return (f"PostgreSQL says: {reason}", POSTGRES["3D"][1])
    return (
        f"PostgreSQL does not answer ({reason})",
        "start the server, or correct the URL given with --db; nothing was changed",
    )
