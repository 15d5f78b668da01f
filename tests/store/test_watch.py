"""A stamp stays the same exactly as long as nobody commits: this process, another one, or whoever restores a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from reconshield.access import Failures
from reconshield.store.db import Store, open_store
from reconshield.store.sessions import save_failures

WRITE = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('DELETE FROM login_failures'); c.commit()"


def write(store: Store, name: str = "client:x") -> None:
    save_failures(store, name, Failures(1, 1.0), 2.0)


def test_a_stamp_changes_with_every_commit_and_with_nothing_else(tmp_path: Path) -> None:
    with open_store(str(tmp_path / "a.db")) as store:
        first = store.stamp()
        assert first is not None
        with store.read() as connection:
            connection.exec_driver_sql("SELECT 1")
        assert store.stamp() == first
        write(store)
        second = store.stamp()
        assert second not in {None, first}
        subprocess.run([sys.executable, "-c", WRITE, str(tmp_path / "a.db")], check=True)
        assert store.stamp() not in {None, first, second}


def test_within_a_transaction_there_is_no_stamp(tmp_path: Path) -> None:
    with open_store(str(tmp_path / "a.db")) as store:
        before = store.stamp()
        with store.together() as one:
            write(one)
            assert one.stamp() is None
            assert store.stamp() == before, "what is not committed changes nothing for others"
        assert store.stamp() != before


def test_a_store_that_was_closed_never_gives_an_old_stamp_again(tmp_path: Path) -> None:
    with open_store(str(tmp_path / "a.db")) as store:
        seen = {store.stamp()}
        for _ in range(3):
            store.close()
            stamp = store.stamp()
            assert stamp not in seen
            seen.add(stamp)
        store.close()
        (tmp_path / "a.db").rename(tmp_path / "b.db")
        assert store.stamp() is None


def test_two_stores_of_one_file_never_share_a_stamp(tmp_path: Path) -> None:
    with open_store(str(tmp_path / "a.db")) as one, open_store(str(tmp_path / "a.db")) as other:
        assert one.stamp() != other.stamp()
        write(one)
        write(other)
        assert one.stamp() != other.stamp()
