"""Databases to test on: what takes `url` or `store` runs on SQLite, and on a private PostgreSQL server (mark `system`).

The `conftest.py` of a folder takes from here what its tests need.
"""

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from postgres import make_database, private_server, server_programs
from reconshield.store.db import Store, open_store


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    programs = server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server in /usr/lib/postgresql")
    with private_server(programs, fsync=False) as url:
        yield url


@pytest.fixture
def postgres_url(server: str) -> str:
    """A new, empty database."""
    return make_database(server)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return str(tmp_path / "data" / "reconshield.db")


@cache
def empty_file() -> bytes:
    """A database without an entry. Its tables are made once a process, not once a test."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        open_store(str(path)).close()
        return path.read_bytes()


def new_store(url: str) -> Store:
    """`open_store` of a database that nobody has opened before; one in a file begins as a copy of an empty one."""
    if "://" not in url:
        path = Path(url)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(empty_file())
    return open_store(url)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with new_store(url) as opened:
        yield opened
