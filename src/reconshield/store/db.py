"""Opens the database: SQLite in a file (the default) or PostgreSQL by URL, with their few differences settled here.

`open_store` reads the URL, makes the file private, brings the tables up to date and returns a `Store`. Every change goes
through `Store.begin`, every look through `Store.read`: one transaction each, committed as a whole or not at all. Nothing here
ever prints a password: errors name the database by `Store.where`.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from reconshield.errors import StoreError, UserError
from reconshield.store.failures import explained
from reconshield.store.migrate import migrate
from reconshield.store.watch import Stamp, Watch

LOCK_PATIENCE = 30  # seconds that a writer waits for another one
CONNECT_PATIENCE = 5  # seconds until PostgreSQL must have answered
WORKSPACE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


@dataclass(frozen=True, slots=True)
class Store:
    """An open database, seen from one workspace. `where` names it in messages, without password."""

    engine: Engine
    workspace: str
    where: str
    joined: Connection | None = None
    watch: Watch = field(default_factory=lambda: Watch(None), compare=False)

    @contextmanager
    def together(self) -> Iterator[Store]:
        """A view of this store whose changes are one transaction: what a grant does and its audit entry, or neither."""
        with self.begin() as connection:
            yield replace(self, joined=connection)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that writes: committed when the block ends, undone when it raises."""
        if self.joined is not None:
            yield self.joined
            return
        with explained(self.where), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads: one consistent state, and on SQLite it never waits for a writer."""
        if self.joined is not None:
            yield self.joined
            return
        with explained(self.where), self.engine.connect().execution_options(reading=True) as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Store]:
        """A view of this store whose reads are one transaction, for a page that asks many small questions. Only for reading."""
        with self.read() as connection:
            yield replace(self, joined=connection)

    def stamp(self) -> Stamp | None:
        """Stays the same for as long as nobody changes anything in the database; None where that is not known. To be taken
        before what is kept under it is read. Within a transaction there is none, for that sees what only it has written.
        """
        return self.watch.stamp() if self.joined is None else None

    @property
    def path(self) -> Path | None:
        """The SQLite file, None on PostgreSQL."""
        return Path(str(self.engine.url.database)) if self.engine.dialect.name == "sqlite" else None

    def close(self) -> None:
        self.watch.close()
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_store(url: str, workspace: str = "main", create: bool = True) -> Store:
    """Open `url` (a path, `sqlite:///path` or `postgresql://…`), migrated to the newest tables.

    A missing file is made when `create`, else refused. Raises `StoreError` with what, where and what to do next.
    """
    if not WORKSPACE.fullmatch(workspace):
        hint = "use lower-case letters, digits, and . _ - (63 at most)"
        raise UserError("a workspace cannot have this name", where=workspace, hint=hint)
    place = read_url(url)
    if place.drivername.startswith("sqlite"):
        path = Path(str(place.database)).expanduser().absolute()
        make_file(path, create)
        store = Store(sqlite_engine(path), workspace, str(path), watch=Watch(path))
    else:
        path = None
        store = Store(postgres_engine(place), workspace, name_server(place))
    try:
        with explained(store.where), explained_files(store.where):
            migrate(store.engine, store.where, path)
    except BaseException:
        store.close()
        raise
    return store


def read_url(text: str) -> URL:
    """A path, or a URL of one of the two engines; the driver is always ours."""
    if "://" not in text:
        place = URL.create("sqlite", database=text)
    else:
        try:
            place = make_url(text)
        except (ArgumentError, ValueError) as error:  # their messages may quote the password
            raise UserError("this database URL cannot be read", where=scheme_of(text), hint=URL_HINT) from error
    backend = place.get_backend_name()
    if backend in {"postgresql", "postgres"}:
        return place.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise UserError("this kind of database is not supported", where=scheme_of(text), hint=URL_HINT)
    if place.database in {None, "", ":memory:"}:
        raise UserError("the database needs a file", where=scheme_of(text), hint=URL_HINT)
    return place


URL_HINT = "give a path, sqlite:///PATH, or postgresql://USER@HOST/DATABASE"


def scheme_of(text: str) -> str:
    """As much of a URL as may be shown whatever is in it."""
    scheme, mark, _ = text.partition("://")
    return f"{scheme}://…" if mark else text


def name_server(place: URL) -> str:
    """A PostgreSQL URL with neither password nor options (which may hold one)."""
    user = f"{place.username}@" if place.username else ""
    host = place.host or place.query.get("host") or ""
    port = f":{place.port}" if place.port else ""
    return f"postgresql://{user}{host if isinstance(host, str) else ','.join(host)}{port}/{place.database or ''}"


def make_file(path: Path, create: bool) -> None:
    """Make the file before SQLite does, so that it, its log and its index are readable by their owner only."""
    with explained_files(str(path)):
        if path.is_dir():
            raise StoreError("the database path is a directory", where=str(path), hint="give the path of a file with --db")
        if path.exists():
            return
        if not create:
            raise StoreError("there is no database yet", where=str(path), hint="run a scan first, or give another with --db")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite gives -wal and -shm the mode of the file


@contextmanager
def explained_files(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        hint = "look at the rights and the space there, or give another path with --db"
        raise StoreError(f"the database cannot be made ({reason})", where=where, hint=hint) from error


def sqlite_engine(path: Path) -> Engine:
    """SQLite with transactions that begin when we say so; Python's driver would begin them too late to be safe."""
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": LOCK_PATIENCE})

    @event.listens_for(engine, "connect")
    def prepare(driver: sqlite3.Connection, _record: object) -> None:
        driver.isolation_level = None
        driver.execute("PRAGMA foreign_keys=ON")
        driver.execute("PRAGMA cache_size=-65536")  # 64 MiB: a block of observations is sorted into its index in memory
        driver.execute("PRAGMA wal_autocheckpoint=16384")  # 64 MiB: each page is copied back once for many blocks, not for each

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes the lock at once and waits for it here; taken later, SQLite would answer "locked" without waiting.
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def postgres_engine(place: URL) -> Engine:
    limits: dict[str, Any] = {"options": f"-c lock_timeout={LOCK_PATIENCE}s"}
    if "connect_timeout" not in place.query:
        limits["connect_timeout"] = CONNECT_PATIENCE
    return create_engine(place, connect_args=limits, pool_pre_ping=True)


def take_turns(connection: Connection, what: str) -> None:
    """Until this transaction ends, no other one has the same `what`. On SQLite one writer at a time is the rule anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))"), {"what": what})
