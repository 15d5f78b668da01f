"""Runs, blocks, services and findings: kept whole or not at all, never twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select, text

from reconshield.errors import StoreError, UserError
from reconshield.model import (
    Confidence,
    Endpoint,
    Factor,
    Finding,
    Risk,
    Rung,
    Service,
    Severity,
    State,
    Tls,
    Transport,
    Turn,
)
from reconshield.store.db import Store, open_store
from reconshield.store.glance import Seen, last_seen
from reconshield.store.history import endpoint_history
from reconshield.store.observations import blocks_done, count_open, load_observations, open_endpoints, save_block
from reconshield.store.runs import create_run, find_run, finish_run, list_runs, new_run_id, reopen_run
from reconshield.store.services import endpoints_without_service, findings, save_service, services
from reconshield.store.tables import BLOCKS, FINDINGS, OBSERVATIONS, RUNS, SERVICES
from reconshield.store.upkeep import backup, compact, prune_runs
from store.examples import NOW, answers, begin_run, joined

OPEN, CLOSED, FILTERED = State.OPEN, State.CLOSED, State.FILTERED
EVERY_BYTE = bytes(range(256))
MAIL = Endpoint("10.77.0.2", 110)
SERVICE = Service(
    endpoint=MAIL,
    service="pop3",
    confidence=Confidence.CONFIRMED,
    at=NOW,
    product="Dove\0cot \\ \udcff",
    version=None,
    cpe=("cpe:2.3:a:dovecot:dovecot:*:*:*:*:*:*:*:*",),
    tls=Tls.STARTTLS,
    rung=Rung.PROTOCOL,
    probe="pop3",
    facts={
        "capa": ["USER", "STLS"],
        "banner": "\0\u20ac\udc80",
        "tls": {"certificate": {"sha256": "ab"}},
        "n": 1.5,
        "no": None,
    },
    evidence=(Turn("pop3", b"", EVERY_BYTE, 1.25), Turn("pop3", b"CAPA\r\n", b"+OK\r\n", 2.5, tls=True, truncated=True)),
    others=("ftp: no 220",),
    note="3 probes not tried",
    name="mail.example",
)
FINDING = Finding(
    check="pop3-cleartext-login",
    id="9f2c41d07be3a155",
    endpoint=MAIL,
    severity=Severity.MEDIUM,
    confidence=Confidence.CONFIRMED,
    title="Passwords cross the network in clear text \0",
    evidence={"capa": ["USER"]},
    remedy="set disable_plaintext_auth = yes",
    attack=("T1040",),
    references=("rfc8314",),
    risk=Risk(44, "medium", (Factor("transport", 12, "clear text", "rfc8314"),)),
    name="mail.example",
)


def count(store: Store) -> dict[str, int]:
    with store.read() as connection:
        tables = (RUNS, BLOCKS, OBSERVATIONS, SERVICES, FINDINGS)
        return {table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables}


def test_a_run_keeps_every_field_through_its_life(store: Store) -> None:
    plan = {"targets": [["281470850793474", "281470850793474"]], "ports": [[1, 1024]], "seed": 7, "block": 4096}
    run = create_run(
        store, plan=plan, engine="raw", vantage="office \udc80", grants=("g1", "g2"), level=4, now=NOW, options={"fast": True}
    )
    assert find_run(store, run.id) == run
    finish_run(store, run.id, "partial", {"open": 3}, NOW + 60)
    assert find_run(store, "latest") == replace(run, state="partial", summary={"open": 3}, finished=NOW + 60)
    reopen_run(store, run.id)
    assert find_run(store, "latest").state == "running"


def test_a_run_id_is_the_start_in_utc() -> None:
    assert new_run_id(NOW).rpartition("-")[0] == "20261118-110640"


def test_runs_are_found_by_latest_and_by_unique_prefix(store: Store, url: str) -> None:
    with pytest.raises(UserError, match="there are no runs yet"):
        find_run(store, "latest")
    first, second, third = (begin_run(store, NOW + day * 86400) for day in (0, 0, 40))
    assert [run.id for run in list_runs(store)] == [third.id, second.id, first.id], "also within one second"
    assert [run.id for run in list_runs(store, limit=1)] == [third.id]
    for said in ("latest", " LATEST ", third.id, third.id.upper(), third.id[:8]):
        assert find_run(store, said) == third
    with pytest.raises(UserError) as ambiguous:
        find_run(store, "20261118")
    assert ambiguous.value.message == "2 runs begin like this"
    assert first.id in str(ambiguous.value.hint)
    with pytest.raises(UserError) as unknown:
        find_run(store, third.id[:-1] + "x")
    assert third.id in str(unknown.value.hint)
    with open_store(url, workspace="other") as other, pytest.raises(UserError, match="no runs yet"):
        find_run(other, third.id)


def test_a_block_keeps_all_answers_once_and_open_ones_as_rows(store: Store) -> None:
    run = begin_run(store)
    block = answers(
        ("10.77.0.2", 110, OPEN), ("2001:db8::2", 65535, OPEN), ("10.77.0.2", 22, CLOSED), ("10.77.0.3", 1, FILTERED)
    )
    assert save_block(store, run.id, 3, block)
    assert not save_block(store, run.id, 3, answers(("10.77.0.9", 9, OPEN)))
    assert save_block(store, run.id, 4, block[:0])
    assert blocks_done(store, run.id) == {3, 4}
    assert np.array_equal(load_observations(store, run.id), block)
    seen = open_endpoints(store, run.id)
    assert [str(each.endpoint) for each in seen] == ["10.77.0.2:110/tcp", "[2001:db8::2]:65535/tcp"]
    assert (seen[0].state, seen[0].reason.label, seen[0].ttl, seen[0].rtt_ms, seen[0].at) == (OPEN, "syn-ack", 64, 1.5, NOW)


def test_extreme_values_come_back(store: Store) -> None:
    run = begin_run(store)
    block = answers(("0.0.0.0", 0, OPEN), ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, OPEN), transport=Transport.UDP)
    block["rtt_us"], block["ttl"] = [0, 2**32 - 1], [0, 255]
    save_block(store, run.id, 2**47, block)
    first, last = open_endpoints(store, run.id)
    assert (str(first.endpoint), first.ttl, first.rtt_ms) == ("0.0.0.0:0/udp", None, None)
    assert (last.endpoint.ip, last.ttl, last.rtt_ms) == ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 255, (2**32 - 1) / 1000)
    assert blocks_done(store, run.id) == {2**47}


def test_an_endpoint_that_answers_in_two_blocks_is_one_endpoint(store: Store) -> None:
    run = begin_run(store)
    first = answers(("10.77.0.2", 110, OPEN), ("10.77.0.2", 25, OPEN))
    late = answers(("10.77.0.2", 110, OPEN), ("10.77.0.2", 143, OPEN), ("10.77.0.2", 143, OPEN), at=NOW + 5)
    assert save_block(store, run.id, 0, first)
    assert save_block(store, run.id, 1, late)
    assert [(each.endpoint.port, each.at) for each in open_endpoints(store, run.id)] == [(25, NOW), (110, NOW), (143, NOW + 5)]
    assert len(load_observations(store, run.id)) == 5


def test_an_array_of_another_form_is_a_bug(store: Store) -> None:
    run = begin_run(store)
    with pytest.raises(TypeError, match="not an observation array"):
        save_block(store, run.id, 0, np.zeros(3))


@pytest.mark.parametrize("damage", [{"data": b"rotten"}, {"answered": 2}, {"answered": 0}])
def test_a_damaged_block_is_named(store: Store, damage: dict[str, object]) -> None:
    run = begin_run(store)
    save_block(store, run.id, 7, answers(("10.77.0.2", 110, OPEN)))
    with store.begin() as connection:
        connection.execute(BLOCKS.update().values(damage))
    with pytest.raises(StoreError, match="a stored block is damaged") as raised:
        load_observations(store, run.id)
    assert str(raised.value.where).endswith(f"{run.id}, block 7")


def test_services_and_findings_come_back_equal_with_every_byte(store: Store) -> None:
    run = begin_run(store)
    save_service(store, run.id, SERVICE, [FINDING, replace(FINDING, check="a-check", id="0", risk=None, name=None)])
    assert services(store, run.id) == [SERVICE]
    assert findings(store, run.id)[1] == FINDING
    assert findings(store, run.id, MAIL)[0].check == "a-check"
    assert services(store, run.id, Endpoint("10.77.0.2", 110, "udp")) == []


def test_saving_an_endpoint_again_replaces_it_and_its_findings_only(store: Store) -> None:
    run = begin_run(store)
    other = replace(SERVICE, endpoint=Endpoint("10.77.0.2", 995))
    save_service(store, run.id, SERVICE, [FINDING])
    save_service(store, run.id, other, [replace(FINDING, endpoint=other.endpoint)])
    save_service(store, run.id, replace(SERVICE, service="http"), [])
    assert [service.service for service in services(store, run.id)] == ["http", "pop3"]
    assert [finding.endpoint for finding in findings(store, run.id)] == [other.endpoint]


def test_a_failure_in_the_middle_of_an_endpoint_keeps_the_old_state(store: Store) -> None:
    run = begin_run(store)
    save_service(store, run.id, SERVICE, [FINDING])
    with pytest.raises(Exception, match=r"(?i)unique"):  # the same check twice
        save_service(store, run.id, replace(SERVICE, service="http"), [FINDING, FINDING])
    assert services(store, run.id) == [SERVICE]
    assert findings(store, run.id) == [FINDING]


def test_what_is_left_to_identify(store: Store) -> None:
    run, other = begin_run(store), begin_run(store)
    save_block(store, run.id, 0, answers(("10.77.0.9", 22, OPEN), ("10.77.0.2", 110, OPEN), ("10.77.0.2", 25, OPEN)))
    save_service(store, run.id, SERVICE, [])
    save_service(store, other.id, replace(SERVICE, endpoint=Endpoint("10.77.0.2", 25)), [])
    assert [str(each) for each in endpoints_without_service(store, run.id)] == ["10.77.0.2:25/tcp", "10.77.0.9:22/tcp"]


def two_days(store: Store) -> tuple[str, str]:
    before, after = begin_run(store), begin_run(store, NOW + 86400, vantage="dmz")
    save_block(store, before.id, 0, answers(("10.77.0.2", 110, OPEN), ("10.77.0.3", 110, OPEN), ("10.77.0.2", 22, CLOSED)))
    save_service(store, before.id, SERVICE, [FINDING])
    save_block(store, after.id, 0, answers(("10.77.0.2", 110, CLOSED), ("10.77.0.3", 110, OPEN), at=NOW + 86400))
    return before.id, after.id


def test_the_history_of_an_address_has_closed_answers_too(store: Store) -> None:
    before, after = two_days(store)
    seen = endpoint_history(store, "10.77.0.2")
    assert [(each.run, each.vantage, each.observation.endpoint.port, each.observation.state.label) for each in seen] == [
        (after, "dmz", 110, "closed"),
        (before, "local", 22, "closed"),
        (before, "local", 110, "open"),
    ]
    assert [each.service for each in seen] == [None, None, SERVICE]
    assert [each.observation.endpoint.port for each in endpoint_history(store, "::ffff:10.77.0.2", 22)] == [22]
    assert endpoint_history(store, "10.77.0.99") == []


def test_a_workspace_sees_and_changes_only_its_own_runs(store: Store, url: str) -> None:
    mine = begin_run(store).id
    block = answers(("10.77.0.2", 110, OPEN), ("10.77.0.3", 25, OPEN))
    save_block(store, mine, 0, block)
    with open_store(url, workspace="other") as other:
        theirs = begin_run(other).id
        with other.begin() as connection:  # the same id in both: only the key tells their open endpoints apart
            connection.execute(RUNS.update().where(RUNS.c.id == theirs).values(id=mine))
        assert (count_open(other), blocks_done(other, mine), len(load_observations(other, mine))) == ({}, set(), 0)
        assert (open_endpoints(other, mine), endpoints_without_service(other, mine)) == ([], [])
        assert endpoint_history(other, "10.77.0.2") == []
        save_block(other, mine, 0, block[:1])
        assert (count_open(store), count_open(other)) == ({mine: 2}, {mine: 1})
        if store.path is not None:
            assert [(seen.port, seen.run) for seen in last_seen(store.path, 110, workspace="other")] == [(110, mine)]
            assert last_seen(store.path, 25, workspace="other") == []
        assert prune_runs(other, NOW + 1)["observations"] == 1
        with pytest.raises(Exception, match=r"(?i)foreign key"):
            save_block(other, mine, 1, block)
    assert (count_open(store), len(load_observations(store, mine))) == ({mine: 2}, 2)


def test_a_statement_takes_many_rows_and_the_rest_comes_one_by_one(store: Store) -> None:
    run = begin_run(store).id
    for number, size in enumerate((1, 19, 20, 21, 41)):
        ports = range(1000 * number, 1000 * number + size)
        save_block(store, run, number, answers(*(("10.77.0.2", port, OPEN) for port in ports)))
        assert [each.endpoint.port for each in open_endpoints(store, run)[-size:]] == list(ports)
    assert count_open(store) == {run: 102}


def test_prune_deletes_old_runs_whole_and_nothing_else(store: Store, url: str) -> None:
    before, after = two_days(store)
    with open_store(url, workspace="other") as other:
        begin_run(other, NOW - 86400)
    gone = prune_runs(store, NOW + 1)
    assert gone == {"changes": 0, "findings": 1, "services": 1, "observations": 2, "blocks": 1, "runs": 1}
    assert count(store) == {"runs": 2, "blocks": 1, "observations": 1, "services": 0, "findings": 0}
    assert [run.id for run in list_runs(store)] == [after]
    compact(store)
    assert find_run(store, after).id != before


def test_compact_gives_space_back_and_a_backup_opens(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with open_store(str(path)) as store:
        save_service(store, begin_run(store).id, replace(SERVICE, facts={"large": "x" * 3_000_000}), [])
        backup(store, tmp_path / "copy.db")
        assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
        with pytest.raises(UserError, match="would overwrite a file"):
            backup(store, tmp_path / "copy.db")
        prune_runs(store, NOW + 1)
        compact(store)
    assert path.stat().st_size < 1_000_000
    with open_store(str(tmp_path / "copy.db")) as copy:
        assert len(services(copy, find_run(copy, "latest").id)) == 1


@pytest.mark.system
def test_postgresql_is_backed_up_with_its_own_tool(postgres_url: str, tmp_path: Path) -> None:
    with open_store(postgres_url) as store, pytest.raises(UserError) as raised:
        backup(store, tmp_path / "copy")
    assert str(raised.value.hint).startswith("pg_dump")


def test_glance_reads_without_waiting_or_making_anything(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    assert last_seen(path, 110) == []
    assert list(tmp_path.iterdir()) == []
    with open_store(str(path)) as store:
        before, after = two_days(store)
        expected = [
            Seen("10.77.0.3", 110, "tcp", NOW + 86400, after, None, None),
            Seen("10.77.0.2", 110, "tcp", NOW, before, "pop3", SERVICE.product),
            Seen("10.77.0.3", 110, "tcp", NOW, before, None, None),
        ]
        with store.begin():  # somebody is writing
            assert sorted(last_seen(path, 110), key=lambda seen: (-seen.at, seen.ip)) == sorted(
                expected, key=lambda seen: (-seen.at, seen.ip)
            )
    assert len(last_seen(path, 110)) == 3  # nobody has it open: no -wal, no -shm
    assert last_seen(path, 22) == []
    assert last_seen(path, 110, workspace="other") == []
    path.write_text("no database" * 1000)
    assert last_seen(path, 110) == []


def test_glance_loads_neither_sqlalchemy_nor_numpy() -> None:
    code = "import sys, reconshield.store.glance; print({'sqlalchemy', 'numpy', 'alembic'} & sys.modules.keys())"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said == "set()\n"


SAVE = """
import sys
import numpy as np
from reconshield.model import OBSERVATION_FIELDS
from reconshield.store.db import open_store
from reconshield.store.observations import blocks_done, save_block
url, run, begin, step = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
with open_store(url) as store:
    done = blocks_done(store, run)
    for number in range(begin, 40, step):
        if number in done:
            continue
        rows = np.zeros(2000, OBSERVATION_FIELDS)
        rows["lo"], rows["port"] = 0xFFFF0A4D0000 + number, 1 + np.arange(2000)
        rows["transport"], rows["state"], rows["reason"] = 6, 1, 1
        save_block(store, run, number, rows)
        print(number, flush=True)
"""


def saver(url: str, run_id: str, begin: int, step: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SAVE, url, run_id, str(begin), str(step)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_kill_9_loses_no_block_that_was_reported_and_doubles_none(url: str) -> None:
    with open_store(url) as store:
        run = begin_run(store).id
        reported: set[int] = set()
        for turn in range(3):
            process = saver(url, run, 0, 1)
            assert process.stdout is not None
            reported.add(int(process.stdout.readline()))
            time.sleep(0.01 * turn)
            os.kill(process.pid, signal.SIGKILL)
            reported |= {int(line) for line in process.stdout.read().split()}
            process.stdout.close()
            process.wait(10)
            done = blocks_done(store, run)
            assert reported <= done
            assert count(store)["observations"] == 2000 * len(done)
        with saver(url, run, 0, 1) as last:
            last.communicate(timeout=60)
        assert blocks_done(store, run) == set(range(40))
        assert len(open_endpoints(store, run)) == 80_000 == count(store)["observations"]


def test_two_writers_share_a_run(url: str) -> None:
    with open_store(url) as store:
        run = begin_run(store).id
        with saver(url, run, 0, 2) as even, saver(url, run, 0, 1) as every:
            said = [set(map(int, process.communicate(timeout=60)[0].split())) for process in (even, every)]
        assert said[0] | said[1] == set(range(40)) == blocks_done(store, run)
        assert count(store)["observations"] == 80_000
        assert len(joined([load_observations(store, run)])) == 80_000


OUR_BUGS: dict[str, Callable[[Store], object]] = {
    "a statement of ours that is wrong": lambda store: raw(store, "SELECT nothing FROM nowhere"),
    "a constraint that we break": lambda store: raw(store, "INSERT INTO runs (workspace) VALUES ('main')"),
}


def raw(store: Store, statement: str) -> None:
    with store.begin() as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize("name", OUR_BUGS)
def test_our_own_bugs_are_not_dressed_as_the_users_trouble(store: Store, name: str) -> None:
    with pytest.raises(Exception, match=r"nowhere|NOT NULL|not-null") as raised:
        OUR_BUGS[name](store)
    assert not isinstance(raised.value, UserError)
