"""A PostgreSQL server for one test run or benchmark: in a new directory, on a unix socket only, removed afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, text

from reconshield.store.db import read_url


def server_programs() -> Path | None:
    """The directory of the newest installed server's programs, None when there is none that may be started here."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def private_server(programs: Path, *, fsync: bool) -> Iterator[str]:
    """Start a server and give the URL of its database `postgres`. Without `fsync` it is quick and forgets on a power cut."""
    home = Path(tempfile.mkdtemp(prefix="reconshield-pg-"))
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    if user:
        shutil.chown(home, user)

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", str(home / "data"), *arguments]
        subprocess.run(command, check=True, cwd=home, user=user, stdout=subprocess.DEVNULL, timeout=300)

    try:
        run("initdb", "-A", "trust", "-U", "tester", "-E", "UTF8", "--locale=C", "--no-sync")
        run("pg_ctl", "-w", "-l", str(home / "log"), "-o", f"-k {home} -h '' -c fsync={'on' if fsync else 'off'}", "start")
        try:
            yield f"postgresql://tester@/postgres?host={home}"
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def make_database(server: str) -> str:
    """The URL of a new, empty database."""
    name = f"t{uuid4().hex[:12]}"
    engine = create_engine(read_url(server), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?")
