"""Opening a database: private, migrated with a backup, and refused in words when it cannot be."""

import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from postgres import make_database
from reconshield.errors import StoreError, UserError
from reconshield.store.audit import append_entry
from reconshield.store.db import Store, open_store, postgres_engine, read_url, sqlite_engine
from reconshield.store.grants import add_grant, list_grants
from reconshield.store.migrate import HEAD, alembic_config, upgrade
from reconshield.store.tables import METADATA
from store.examples import NOW

GRANT = {"by": "Ada", "targets": [], "level": 3, "created_at": NOW}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_database_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with open_store(str(tmp_path / "home" / "x.db")) as store:
            add_grant(store, GRANT)
            files = sorted((tmp_path / "home").iterdir())
            assert [(path.name, mode(path)) for path in files] == [("x.db", 0o600), ("x.db-shm", 0o600), ("x.db-wal", 0o600)]
            assert mode(tmp_path / "home") == 0o700
    finally:
        os.umask(before)


SCHEMA = {
    "sqlite": ["SELECT type, name, tbl_name, sql FROM sqlite_master"],
    "postgresql": [
        "SELECT to_jsonb(c) - 'table_catalog' - 'udt_catalog' FROM information_schema.columns c WHERE table_schema = 'public'",
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
        "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    ],
}
"""Everything that a database says of its tables, keys, indexes, triggers and functions."""


def schema_of(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        rows = [row for query in SCHEMA[engine.dialect.name] for row in connection.exec_driver_sql(query)]
    return sorted(re.sub(r"\s*([(),]|\s)\s*", r"\1", " ".join(map(str, row))) for row in rows)  # layout does not count


def test_a_new_database_is_what_the_migrations_make(store: Store, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if store.path is not None:
        stepwise = sqlite_engine(tmp_path / "stepwise.db")
    else:
        stepwise = postgres_engine(read_url(make_database(str(request.getfixturevalue("server")))))
    with stepwise.begin() as connection:
        upgrade(connection, "head")
    made, migrated = schema_of(store.engine), schema_of(stepwise)
    stepwise.dispose()
    assert made == migrated
    assert sum("audit_no_" in line for line in made) == (2 if store.path is not None else 3)


def test_every_table_has_its_workspace_first_but_those_that_docs_why_names() -> None:
    first = {table.name: next(iter(table.columns)).name for table in METADATA.tables.values()}
    assert {name for name, column in first.items() if column != "workspace"} == {
        "observations",
        "accounts",
        "login_failures",
    }
    assert (first["observations"], first["accounts"], first["login_failures"]) == ("run_key", "id", "subject")


def test_head_is_the_newest_step() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


@pytest.mark.parametrize("new", [True, False])
def test_opening_loads_no_alembic(url: str, new: bool) -> None:
    if not new:
        open_store(url).close()
    code = "from reconshield.store.db import open_store; open_store(sys.argv[1]).close(); print('alembic' in sys.modules)"
    command = [sys.executable, "-c", f"import sys; {code}", url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said == "False\n"


def make_old(path: Path) -> None:
    """A database of the first release, with a grant in it."""
    engine = sqlite_engine(path)
    with engine.begin() as connection:
        upgrade(connection, "0001")
    old = Store(engine, "main", str(path))
    add_grant(old, GRANT)
    append_entry(old, "grant added", {}, NOW, "Ada")
    old.close()


def test_an_older_database_is_copied_then_migrated(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    make_old(path)
    with open_store(str(path)) as store, store.read() as connection:
        assert [grant["by"] for grant in list_grants(store)] == ["Ada"]
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD
    backup = tmp_path / "x.db.backup-0001"
    assert mode(backup) == 0o600
    with closing(sqlite3.connect(backup)) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert copy.execute("SELECT granted_by FROM grants").fetchall() == [("Ada",)]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["x.db", "x.db.backup-0001"]


def test_a_backup_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    make_old(path)
    (tmp_path / "x.db.backup-0001").write_text("precious")
    open_store(str(path)).close()
    assert (tmp_path / "x.db.backup-0001").read_text() == "precious"
    assert (tmp_path / "x.db.backup-0001-2").exists()


@pytest.mark.system
def test_an_older_postgresql_database_is_migrated(postgres_url: str) -> None:
    engine = postgres_engine(read_url(postgres_url))
    with engine.begin() as connection:
        upgrade(connection, "0001")
    add_grant(Store(engine, "main", "old"), GRANT)
    engine.dispose()
    with open_store(postgres_url) as store:
        assert len(list_grants(store)) == 1


def test_a_newer_database_is_refused_and_not_touched(url: str) -> None:
    with open_store(url) as store, store.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError) as raised:
        open_store(url)
    assert raised.value.message == f"the database was made by a newer version (its step is 9999, ours {HEAD})"
    assert raised.value.hint == "update ReconShield, or give another database with --db; this one was not touched"


def test_a_failed_migration_leaves_the_old_state(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    make_old(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE findings (stands_in_the_way TEXT)")  # the last table that the step makes
    with pytest.raises(Exception, match="findings already exists"):
        open_store(str(path))
    with closing(sqlite3.connect(path)) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert names == {"alembic_version", "grants", "audit", "findings"}
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)


def foreign_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")


def damaged_database(path: Path) -> None:
    open_store(str(path)).close()
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 4000)


def text_file(path: Path) -> None:
    path.write_text("not a database, " * 100)


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "text file": (text_file, "this file is not a database"),
    "foreign": (foreign_database, "this database belongs to another program"),
    "damaged": (damaged_database, "the database is damaged"),
    "directory": (Path.mkdir, "the database path is a directory"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_database_of_ours(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.db"
    make, message = BROKEN[name]
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreError) as raised:
        open_store(str(path))
    assert (raised.value.message, raised.value.where) == (message, str(path))
    assert raised.value.hint
    assert before is None or path.read_bytes() == before


def test_nothing_is_made_when_it_should_not_be(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database yet"):
        open_store(str(tmp_path / "home" / "x.db"), create=False)
    assert list(tmp_path.iterdir()) == []


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write everywhere, so root becomes nobody for a moment."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def public_place() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="reconshield-test-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def test_a_read_only_directory(public_place: Path) -> None:
    public_place.chmod(0o555)
    with as_nobody(), pytest.raises(StoreError) as raised:
        open_store(str(public_place / "x.db"))
    public_place.chmod(0o755)
    assert raised.value.message == "the database cannot be made (permission denied)"
    assert raised.value.where == str(public_place / "x.db")


def test_a_database_that_may_only_be_read(public_place: Path) -> None:
    path = public_place / "x.db"
    open_store(str(path)).close()
    path.chmod(0o444)
    public_place.chmod(0o555)
    with as_nobody(), pytest.raises(StoreError) as raised, open_store(str(path)) as store:
        add_grant(store, GRANT)
    public_place.chmod(0o755)
    assert raised.value.message in {"the database is read-only", "the database cannot be opened"}


def test_a_full_disk_keeps_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with open_store(str(path)) as store:
        add_grant(store, GRANT)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        try:
            with pytest.raises(StoreError) as raised:
                add_grant(store, GRANT | {"reason": "x" * 1_000_000})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert raised.value.message == "the disk refuses to read or write the database"
        assert len(list_grants(store)) == 1
        assert add_grant(store, GRANT) == "g2"


@pytest.mark.system
def test_a_really_full_disk(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        with open_store(str(tmp_path / "x.db")) as store:
            add_grant(store, GRANT)
            with pytest.raises(StoreError, match="the disk is full"):
                add_grant(store, GRANT | {"reason": "x" * 1_000_000})
            assert len(list_grants(store)) == 1
        with suppress(OSError), (tmp_path / "ballast").open("wb", buffering=0) as ballast:
            while ballast.write(b"x" * 1024):
                pass
        with pytest.raises(StoreError, match="disk"):
            open_store(str(tmp_path / "y.db"))
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_locked_database_is_said_after_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconshield.store.db.LOCK_PATIENCE", 0.1)
    path = tmp_path / "x.db"
    with open_store(str(path)) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another process"):
            add_grant(store, GRANT)
        assert list_grants(store) == []  # readers do not wait
        other.execute("ROLLBACK")
        add_grant(store, GRANT)


WRONG_URLS = [
    ("mysql://root:geheim@db/x", "this kind of database is not supported"),
    ("postgresql://u:geheim@host:port/x", "this database URL cannot be read"),
    ("://geheim", "this database URL cannot be read"),
    ("sqlite://", "the database needs a file"),
    ("postgresql://u:geheim@127.0.0.1:1/x", "PostgreSQL does not answer (connection refused)"),
    ("postgresql://u:geheim@127.0.0.1:1/x?password=geheim", "PostgreSQL does not answer (connection refused)"),
    ("postgres://u:geheim@127.0.0.1:1/x?sslmod=geheim", 'invalid connection option "sslmod"'),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG_URLS)
def test_a_wrong_url_is_explained_without_its_password(wrong: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        open_store(wrong)
    said = [raised.value.message, raised.value.where, raised.value.hint]
    assert message in raised.value.message
    assert all(part and "geheim" not in part for part in said)


@pytest.mark.system
def test_an_unknown_postgresql_database(server: str) -> None:
    with pytest.raises(StoreError) as raised:
        open_store(server.replace("/postgres?", "/nowhere?"))
    assert raised.value.message == 'PostgreSQL says: database "nowhere" does not exist'


@pytest.mark.parametrize("name", ["", "Main", "a b", "../x", "x" * 64])
def test_a_workspace_needs_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="a workspace cannot have this name"):
        open_store(str(tmp_path / "x.db"), workspace=name)
