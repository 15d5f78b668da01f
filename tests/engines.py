"""Databases to test on: what takes `url` or `store` runs on SQLite, and on a private PostgreSQL server (mark `system`).

The `conftest.py` of a folder takes from here what its tests need.
"""

from collections.abc import Iterator
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


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened
