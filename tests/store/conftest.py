"""Every test that takes `url` or `store` runs on SQLite, and on a private PostgreSQL server (mark `system`)."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from postgres import private_server, server_programs
from reconshield.store.db import Store, open_store, read_url


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
    name = f"t{uuid4().hex[:12]}"
    engine = create_engine(read_url(server), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return str(tmp_path / "data" / "reconshield.db")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened
