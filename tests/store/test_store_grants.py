"""Grants and the audit log on both engines."""

import subprocess
import sys
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from reconshield.errors import UserError
from reconshield.store import audit
from reconshield.store.db import Store, open_store
from reconshield.store.grants import add_grant, list_grants, replace_grant_targets, revoke_grant

LAB = {"text": "10.77.0.0/24", "ranges": [["281470850793472", "281470850793727"]]}
V6 = {"text": "2001:db8::/32", "ranges": [["42540766411282592856903984951653826560", "42540766490510755371168322545197776895"]]}


def grant(**other: Any) -> dict[str, Any]:
    return {"by": "Ada", "targets": [LAB], "level": 3, "created_at": 100.5} | other


def test_grants_are_numbered_per_workspace_and_keep_every_field(store: Store, url: str) -> None:
    full = grant(exclusions=[V6], valid_from=1.5, until=2.5, reason="audit \0 \udc80 \\ ü", contact="soc@example.org")
    assert [add_grant(store, grant()), add_grant(store, full)] == ["g1", "g2"]
    with open_store(url, workspace="tenant-b") as other:
        assert list_grants(other) == []
        assert add_grant(other, grant(by="Bea")) == "g1"
    assert list_grants(store)[1] == full | {"id": "g2", "revoked_at": None}


def test_a_grant_is_revoked_once_and_keeps_that_date(store: Store) -> None:
    add_grant(store, grant())
    assert revoke_grant(store, "g1", 200.0)["revoked_at"] == 200.0
    assert revoke_grant(store, "G1", 300.0)["revoked_at"] == 200.0
    assert list_grants(store)[0]["revoked_at"] == 200.0


def test_refresh_replaces_only_the_targets(store: Store) -> None:
    add_grant(store, grant())
    before = list_grants(store)[0]
    replace_grant_targets(store, "g1", [V6])
    assert list_grants(store) == [before | {"targets": [V6]}]


@pytest.mark.parametrize("wrong", ["g2", "1", "", "g0", "g1; drop table grants", "g99999999999999999999"])
def test_an_unknown_grant_is_the_users_mistake(store: Store, wrong: str) -> None:
    add_grant(store, grant())
    with pytest.raises(UserError) as raised:
        revoke_grant(store, wrong, 1.0)
    assert (raised.value.message, raised.value.hint) == ("there is no grant of that id", "reconshield grant list")


def fill_log(store: Store) -> None:
    for event in ("grant added", "grant used", "refused"):
        audit.append_entry(store, event, {"target": "10.77.0.2", "n": 0.1, "odd": "\0\udcff"}, at=5, actor="ada")


def test_the_log_counts_from_one_and_is_whole(store: Store) -> None:
    assert audit.verify_chain(store) is None
    fill_log(store)
    assert [(entry.number, entry.event) for entry in audit.entries(store)] == [
        (1, "grant added"),
        (2, "grant used"),
        (3, "refused"),
    ]
    assert [entry.number for entry in audit.entries(store, limit=2)] == [2, 3]
    assert audit.entries(store)[0].previous == "0" * 64
    assert audit.verify_chain(store) is None


@pytest.mark.parametrize("verb", ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit"])
def test_the_database_itself_refuses_to_edit_the_log(store: Store, verb: str) -> None:
    fill_log(store)
    with pytest.raises(DBAPIError, match="append-only"), store.begin() as connection:
        connection.execute(text(verb))
    assert len(audit.entries(store)) == 3


TAMPERING = {
    "edited text": ("UPDATE audit SET actor = 'eve' WHERE number = 2", 2),
    "edited time": ("UPDATE audit SET at = 6 WHERE number = 2", 2),
    "edited hash": ("UPDATE audit SET hash = previous WHERE number = 2", 2),
    "removed first": ("DELETE FROM audit WHERE number = 1", 1),
    "removed middle": ("DELETE FROM audit WHERE number = 2", 2),
    "moved to another tenant": ("UPDATE audit SET workspace = 'x' WHERE number = 3", None),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_editing_past_the_triggers_breaks_the_chain(store: Store, url: str, name: str) -> None:
    fill_log(store)
    statement, broken = TAMPERING[name]
    with store.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER audit_no_update"))
            connection.execute(text("DROP TRIGGER audit_no_delete"))
        else:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER USER"))
        connection.execute(text(statement))
    if broken is not None:
        assert audit.verify_chain(store) == broken
    else:  # an entry cut off at the end shows only where it went
        with open_store(url, workspace="x") as other:
            assert audit.verify_chain(other) == 1


APPEND = """
import sys
from reconshield.store.audit import append_entry
from reconshield.store.db import open_store
from reconshield.store.grants import add_grant
with open_store(sys.argv[1]) as store:
    for turn in range(12):
        append_entry(store, "used", {"turn": turn}, at=turn, actor=sys.argv[2])
        add_grant(store, {"by": sys.argv[2], "targets": [], "level": 2, "created_at": turn})
"""


def test_two_processes_that_open_a_new_database_at_once_keep_one_chain(url: str) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", APPEND, url, actor]) for actor in ("ada", "bea")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    with open_store(url) as store:
        assert audit.verify_chain(store) is None
        assert [entry.number for entry in audit.entries(store)] == list(range(1, 25))
        assert {entry.actor for entry in audit.entries(store)} == {"ada", "bea"}
        assert [each["id"] for each in list_grants(store)] == [f"g{number}" for number in range(1, 25)]
