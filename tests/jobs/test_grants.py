"""Grants in a real database: what a scan gets, what is written down, and what happens when a name moves."""

import io
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from engines import new_store
from reconshield import host
from reconshield.errors import Refused, StoreError, UserError
from reconshield.jobs.grants import add_grant, authorise_scan, list_grants, refresh_grant, revoke_grant
from reconshield.jobs.requests import read_targets
from reconshield.jobs.times import parse_duration, parse_moment
from reconshield.store import audit, grants
from reconshield.store.db import Store

NOW = 1_800_000_000.0
DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with new_store(str(tmp_path / "r.db")) as opened:
        yield opened


def log(store: Store) -> list[str]:
    return [entry.event for entry in audit.entries(store)]


def test_a_grant_is_kept_as_it_was_given_and_logged(store: Store) -> None:
    kept = add_grant(
        store,
        ["10.77.0.0/16", "2001:db8::/32"],
        by=" Ada ",
        now=NOW,
        exclude_texts=["10.77.0.9"],
        reason="T-1",
        contact="+49 30 1",
    )
    assert (kept.grant.id, kept.entry) == ("g1", 1)
    assert list_grants(store) == (kept.grant,)
    assert (kept.grant.by, kept.grant.level, kept.grant.until) == ("Ada", 3, NOW + 90 * DAY)
    (entry,) = audit.entries(store)
    assert entry.detail["grant"] == "g1"
    assert entry.detail["targets"] == [
        {"text": "10.77.0.0/16", "addresses": "10.77.0.0/16"},
        {"text": "2001:db8::/32", "addresses": "2001:db8::/32"},
    ]
    assert entry.actor == host.user_name()


@pytest.mark.parametrize(
    ("targets", "changes", "says"),
    [
        ([], {}, "needs a target"),
        (["10.0.0.1"], {"by": "  "}, "name of who allows it"),
        (["10.0.0.1"], {"by": "A\nB"}, "one line"),
        (["10.0.0.1"], {"reason": "x" * 201}, "one line"),
        (["10.0.0.1"], {"level": 5}, "no level 5"),
        (["10.0.0.1"], {"until": NOW}, "end before it begins"),
        (["10.0.0.1"], {"valid_from": NOW + DAY, "until": NOW + DAY}, "end before it begins"),
        (["10.0.0.1"], {"until": NOW + 4000 * DAY}, "ten years"),
        (["10.0.0.1", "224.0.0.1"], {}, "never measured"),
        (["10.0.0.1"], {"exclude_texts": ["10.0.0.0/8"]}, "leave nothing"),
        (["0.0.0.0/0"], {}, "whole Internet"),
        (["@/nonexistent/file"], {}, "cannot be read"),
        (["@/"], {}, "cannot be read"),
    ],
)
def test_what_cannot_be_a_grant_is_refused_and_leaves_no_trace(
    store: Store, targets: list[str], changes: dict[str, object], says: str
) -> None:
    with pytest.raises(UserError, match=says) as caught:
        add_grant(store, targets, **({"by": "Ada", "now": NOW} | changes))  # type: ignore[arg-type]
    assert caught.value.hint
    assert list_grants(store) == ()
    assert log(store) == []


def test_a_grant_never_stands_without_its_entry(store: Store) -> None:
    with store.begin() as connection:
        connection.execute(text("ALTER TABLE audit RENAME TO gone"))
    with pytest.raises((StoreError, SQLAlchemyError)):
        add_grant(store, ["10.0.0.1"], by="Ada", now=NOW)
    assert list_grants(store) == ()
    with pytest.raises((StoreError, SQLAlchemyError)):
        authorise_scan(store, ["127.0.0.1"], [], None, NOW)


def test_own_addresses_need_no_grant_here_and_one_from_elsewhere(store: Store) -> None:
    targets = authorise_scan(store, ["127.0.0.1"], [], None, NOW)
    assert (targets.level, targets.grants, targets.exempt.text()) == (4, (), "127.0.0.1")
    with pytest.raises(Refused, match=r"no grant covers 127\.0\.0\.1"):
        authorise_scan(store, ["127.0.0.1"], [], None, NOW, exempt_own=False)
    assert log(store) == ["used", "refused"]


def test_localhost_is_this_machine_on_all_its_addresses(store: Store) -> None:
    targets = authorise_scan(store, ["LocalHost"], [], 2, NOW)
    assert targets.addresses.covers(host.own_addresses())
    assert targets.level == 2
    assert set(targets.names.values()) == {"localhost"}


def test_a_refusal_is_an_error_with_its_entry(store: Store) -> None:
    add_grant(store, ["10.77.0.0/16"], by="Ada", now=NOW)
    with pytest.raises(Refused) as caught:
        authorise_scan(store, ["203.0.113.7"], ["203.0.113.8"], None, NOW, options="-p 110")
    assert caught.value.exit_code == 3
    assert caught.value.__notes__ == ["audit entry 2 (exit 3)"]
    assert caught.value.hint is not None
    assert caught.value.hint.endswith('reconshield scan 203.0.113.7 --exclude 203.0.113.8 -p 110 --authorized-by "NAME"')
    entry = audit.entries(store)[-1]
    assert (entry.event, entry.detail["address"], entry.detail["targets"]) == ("refused", "203.0.113.7", ["203.0.113.7"])


def test_a_use_is_logged_with_what_was_allowed_and_dropped(store: Store) -> None:
    add_grant(store, ["10.77.0.0/16"], by="Ada", now=NOW, exclude_texts=["10.77.0.9"])
    targets = authorise_scan(store, ["10.77.0.8-10"], [], None, NOW)
    entry = audit.entries(store)[-1]
    assert entry.detail == {
        "use": "scan",
        "targets": ["10.77.0.8-10"],
        "level": 3,
        "grants": ["g1"],
        "addresses": "10.77.0.8, 10.77.0.10",
        "count": 2,
        "dropped": [{"addresses": "10.77.0.9", "why": "excluded by grant g1 (10.77.0.9)"}],
    }
    assert targets.grants == ("g1",)


def test_authorized_by_records_a_grant_for_a_day(store: Store) -> None:
    targets = authorise_scan(store, ["203.0.113.7"], [], None, NOW, authorized_by="Ada")
    assert (targets.level, targets.grants) == (3, ("g1",))
    (grant,) = list_grants(store)
    assert (grant.by, grant.until, grant.level) == ("Ada", NOW + DAY, 3)
    assert log(store) == ["grant-added", "used"]
    authorise_scan(store, ["203.0.113.7"], [], None, NOW + DAY - 1)
    with pytest.raises(Refused, match=r"no grant covers 203\.0\.113\.7"):
        authorise_scan(store, ["203.0.113.7"], [], None, NOW + DAY)


def test_authorized_by_grants_nothing_that_is_excluded_or_unnamed(store: Store) -> None:
    add_grant(store, ["203.0.113.7"], by="Owner", now=NOW, level=0)
    with pytest.raises(Refused, match="excluded"):
        authorise_scan(store, ["203.0.113.7"], [], None, NOW, authorized_by="Ada")
    with pytest.raises(UserError, match="name of who allows it"):
        authorise_scan(store, ["203.0.113.9"], [], None, NOW, authorized_by=" ")
    with pytest.raises(UserError, match="ten years"):
        authorise_scan(store, ["203.0.113.9"], [], None, NOW, authorized_by="Ada", for_seconds=1e12)
    assert [grant.id for grant in list_grants(store)] == ["g1"]
    assert log(store) == ["grant-added", "refused"]


def test_a_revoked_grant_allows_nothing(store: Store) -> None:
    add_grant(store, ["203.0.113.7"], by="Ada", now=NOW)
    revoke_grant(store, "G1", NOW + 1)
    with pytest.raises(Refused) as caught:
        authorise_scan(store, ["203.0.113.7"], [], None, NOW + 2)
    assert caught.value.where == "no grant is valid now\ng1 covers it, but it was revoked"
    with pytest.raises(UserError, match="revoked already"):
        revoke_grant(store, "g1", NOW + 3)
    with pytest.raises(UserError, match="has ended"):
        refresh_grant(store, "g1", NOW + 3)
    with pytest.raises(UserError, match="no grant of that id"):
        revoke_grant(store, "g7", NOW + 3)
    assert log(store) == ["grant-added", "grant-revoked", "refused"]


def test_a_name_that_moved_is_refused_until_it_is_refreshed(store: Store) -> None:
    add_grant(store, ["localhost"], by="Ada", now=NOW)
    elsewhere = [{"text": "localhost", "name": "localhost", "ranges": [["281470681743361", "281470681743361"]]}]
    grants.replace_grant_targets(store, "g1", elsewhere)
    with pytest.raises(Refused, match=r"localhost is now at .*, which no grant covers") as caught:
        authorise_scan(store, ["localhost"], [], None, NOW, exempt_own=False)
    assert caught.value.hint == "if that is right: reconshield grant refresh g1"
    fresh = refresh_grant(store, "g1", NOW)
    assert [(name, after.covers(host.own_addresses())) for name, _, after in fresh.changes] == [("localhost", True)]
    assert authorise_scan(store, ["localhost"], [], None, NOW, exempt_own=False).grants == ("g1",)
    assert refresh_grant(store, "g1", NOW).changes == ()
    assert log(store) == ["grant-added", "refused", "grant-refreshed", "used", "grant-refreshed"]


def test_targets_come_from_arguments_files_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hosts").write_text("\ufeff10.0.0.1\n# no\n10.0.0.2 mx.example\n", encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.StringIO("10.0.0.3\n"))
    texts = ["10.0.0.1", f"@{tmp_path / 'hosts'}", "@-"]
    assert [target.text for target in read_targets(texts)] == ["10.0.0.1", "10.0.0.2", "mx.example", "10.0.0.3"]
    (tmp_path / "empty").write_text("# nobody\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, says in (("empty", "is empty"), ("binary", "not text"), ("missing", "cannot be read")):
        with pytest.raises(UserError, match=says) as caught:
            read_targets([f"@{tmp_path / name}"])
        assert caught.value.where == str(tmp_path / name)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("12h", NOW + 12 * 3600),
        ("30D", NOW + 30 * DAY),
        ("2w", NOW + 14 * DAY),
        ("2026-12-31T18:00:00Z", 1798740000.0),
        ("2026-12-31T18:00:00+02:00", 1798732800.0),
        ("2026-12-31T18:00", datetime(2026, 12, 31, 18).astimezone().timestamp()),
        ("2026-12-31", datetime(2026, 12, 31, 23, 59, 59).astimezone().timestamp()),
    ],
)
def test_ends_are_dates_times_and_durations(written: str, meant: float) -> None:
    assert parse_moment(written, NOW, "--until", ends=True) == meant


def test_a_date_that_begins_something_begins_at_midnight() -> None:
    assert parse_moment("2026-12-31", NOW, "--from") == datetime(2026, 12, 31).astimezone().timestamp()


@pytest.mark.parametrize("written", ["", "soon", "2026-13-01", "0d", "30", "30x", "999999d", "-3d"])
def test_what_is_no_time_is_said_so(written: str) -> None:
    with pytest.raises(UserError, match="this is no"):
        parse_moment(written, NOW, "--until")
    with pytest.raises(UserError, match="this is no duration"):
        parse_duration(written, "--for")
