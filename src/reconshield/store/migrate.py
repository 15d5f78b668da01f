"""Brings a database to the tables of this version, or says why not.

A new database gets the tables as they are now, without Alembic, whose loading would be most of a first scan's start; an older
one is copied beside itself (SQLite) and then gets the missing steps; one with an unknown step was made by a newer version, one
with tables but no steps by another program: both are left untouched. All is one transaction under a lock (SQLite: the write
lock; PostgreSQL: an advisory lock), so two processes that start together do it once, and a failure leaves the old state.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from reconshield.errors import StoreError
from reconshield.store.tables import create_tables

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0050"
"""The newest step. Kept here so that opening an up-to-date database need not load Alembic; a test compares it."""

MIGRATION_LOCK = 0x5265636F6E  # "Recon": any number that other programs on the server will not use
WAL_PATIENCE = 30.0  # seconds


def migrate(engine: Engine, where: str, path: Path | None) -> None:
    """Bring the tables up to `HEAD`. `path` is the SQLite file, None on PostgreSQL."""
    with engine.connect().execution_options(reading=True) as connection:
        found = find_revision(connection, where)
    if found == HEAD:
        return
    refuse_unknown(found, where)
    if path is not None:
        enter_wal(engine)
    with migration_lock(engine) as connection:
        found = find_revision(connection, where)  # another process may have been faster
        refuse_unknown(found, where)
        if found == HEAD:
            return
        if found is None:
            create_tables(connection)
            stamp_head(connection)
            return
        if path is not None:
            copy_database(path, free_name(path, found))
        upgrade(connection, "head")


def stamp_head(connection: Connection) -> None:
    """Alembic's own table, as Alembic makes it, with the newest step in it."""
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
            " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": HEAD})


def find_revision(connection: Connection, where: str) -> str | None:
    """The step that this database has, None for an empty one."""
    names = inspect(connection).get_table_names()
    if "alembic_version" in names:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return str(found) if found else None
    if names and connection.dialect.name == "sqlite":
        raise StoreError("this database belongs to another program", where=where, hint="give another path with --db")
    return None


def refuse_unknown(found: str | None, where: str) -> None:
    """Never touch what a newer version wrote: it may mean something that this one does not know."""
    if found is None or found == HEAD:
        return
    from alembic.script import ScriptDirectory

    known = {step.revision for step in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if found not in known:
        hint = "update ReconShield, or give another database with --db; this one was not touched"
        raise StoreError(f"the database was made by a newer version (its step is {found}, ours {HEAD})", where=where, hint=hint)


def alembic_config() -> Config:
    """Alembic's settings, in code: an installed package has no alembic.ini."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def upgrade(connection: Connection, revision: str) -> None:
    """Run the missing steps on this connection; the caller's transaction holds them all."""
    from alembic import command

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


@contextmanager
def migration_lock(engine: Engine) -> Iterator[Connection]:
    """A transaction that one process at a time can have."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            with connection.begin():
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
                yield connection
            return
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - tells the type checker which driver it is
        driver.execute("PRAGMA foreign_keys=OFF")  # a step may rebuild a table that others point to; no effect inside BEGIN
        try:
            with connection.begin():
                yield connection
        finally:
            driver.execute("PRAGMA foreign_keys=ON")


def enter_wal(engine: Engine) -> None:
    """Write-ahead log, kept in the file from then on: readers never wait for the writer.

    SQLite does not wait for a lock here as it does elsewhere, so a second process that opens a new file meanwhile tries again.
    """
    deadline = time.monotonic() + WAL_PATIENCE
    with closing(engine.raw_connection()) as pooled:
        driver = pooled.driver_connection
        assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - tells the type checker which driver it is
        while True:
            try:
                driver.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return


def free_name(path: Path, revision: str) -> Path:
    """`reconshield.db.backup-0001`, numbered when that is taken: a backup is never overwritten."""
    first = path.with_name(f"{path.name}.backup-{revision}")
    candidate, number = first, 1
    while candidate.exists():
        number += 1
        candidate = first.with_name(f"{first.name}-{number}")
    return candidate


def copy_database(source: Path, target: Path) -> None:
    """A whole, consistent copy made while others may read and write; it appears under its name only when complete."""
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(part)) as there:
            here.backup(there)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
