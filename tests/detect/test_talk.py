"""Who talks to an endpoint, from flows: a few rows and what must be said of each place."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from detect.captures import zeek_conn, zeek_row
from detect.test_match import DAY
from reconshield.addresses import AddressSet, PortSet
from reconshield.detect.flows import Flows
from reconshield.detect.readers import recognise
from reconshield.detect.scene import OwnScan
from reconshield.detect.talk import find_talk, talk_in
from reconshield.detect.tally import Tally
from reconshield.detection import Talk, Traffic
from reconshield.report.exposures import talk_text

WEB = ("10.1.0.9", 443, "tcp")
ROWS = [
    *(zeek_row(DAY + at, "10.8.0.5", "10.1.0.9", 443) for at in range(5)),
    *(zeek_row(DAY + 60 + at, "10.8.0.6", "10.1.0.9", 443) for at in range(3)),
    zeek_row(DAY + 70, "2001:db8::7", "10.1.0.9", 443),
    zeek_row(DAY + 71, "10.8.0.8", "10.1.0.9", 443),
    zeek_row(DAY + 90, "10.8.0.9", "10.1.0.9", 443, conn_state="REJ"),
    zeek_row(DAY + 95, "10.8.0.5", "10.1.0.9", 443, proto="udp"),
    zeek_row(DAY + 3600, "10.8.0.5", "10.1.0.9", 22, conn_state="S0"),
]


def talk(place: tuple[str, int, str], rows: Iterable[dict[str, object]] = ROWS, *scans: OwnScan) -> Talk:
    data = zeek_conn(rows)
    reader = recognise(data)
    assert reader is not None
    with Tally() as tally, Tally(1) as on_disk:
        for item in reader.read([data]):
            assert isinstance(item, Flows)
            for number in range(item.rows.size):
                on_disk.add(Flows(item.rows[number : number + 1].copy(), item.apps))
            tally.add(item)
        found = find_talk(tally.conversations, [place], scans, ("logs/conn.log",))[place]
        assert talk_in(tally, [place], scans, ("logs/conn.log",))[place] == found
        assert talk_in(on_disk, [place], scans, ("logs/conn.log",))[place] == found
        return found


def test_peers_flows_and_the_last_of_them() -> None:
    found = talk(WEB)
    assert (found.flows, found.attempts, found.peers, found.last) == (10, 1, 4, DAY + 72)
    assert found.top == (("10.8.0.5", 5), ("10.8.0.6", 3), ("2001:db8::7", 1))
    assert talk_text(found).startswith("4 peers talk to it: 10 flows in 1 h 0 min of conn.log, the last 2025-10-09 00:01")
    assert talk_text(found).endswith("; most 10.8.0.5 (5), 10.8.0.6 (3), 2001:db8::7 (1), …")


@pytest.mark.parametrize(
    ("place", "flows", "seen", "said"),
    [
        (("10.1.0.9", 443, "udp"), 1, True, "1 peer talks to it: 1 flow in"),
        (("10.1.0.9", 22, "tcp"), 0, True, "no flow in 1 h 0 min of conn.log: 1 attempt, none answered"),
        (("10.1.0.9", 80, "tcp"), 0, True, "no flow in 1 h 0 min of conn.log, though this host has others there"),
        (("10.8.0.5", 80, "tcp"), 0, True, "no flow in 1 h 0 min of conn.log, though this host has others there"),
        (("10.1.0.10", 443, "tcp"), 0, False, "this host is not seen in 1 h 0 min of conn.log: nothing is known"),
        (("ffff::1", 443, "tcp"), 0, False, "this host is not seen in"),
        (("2001:db8::7", 443, "tcp"), 0, True, "no flow in"),
    ],
)
def test_silence_is_told_from_not_seen(place: tuple[str, int, str], flows: int, seen: bool, said: str) -> None:
    found = talk(place)
    assert (found.flows, found.seen) == (flows, seen)
    assert talk_text(found).startswith(said)


def test_our_own_scan_talks_to_nobody() -> None:
    ports = PortSet(((1, 65_535),))
    scan = OwnScan("run-1", AddressSet.of("10.8.0.5"), AddressSet.of("10.1.0.9"), ports, DAY, DAY + 30)
    found = talk(WEB, ROWS, scan)
    assert (found.flows, found.peers, found.own) == (5, 3, 5)
    only = talk(WEB, ROWS[:5], scan)
    assert (only.flows, only.seen, only.own) == (0, False, 5)
    assert talk_text(only).endswith("nothing is known of who talks to it; 5 flows of our own scans left out")


def test_no_flow_at_all_says_nothing() -> None:
    with Tally() as tally:
        found = find_talk(tally.conversations, [WEB], (), ("empty.log",))[WEB]
    assert found == Talk(Traffic(("empty.log",), None))
    assert talk_text(found) == "this host is not seen in empty.log: nothing is known of who talks to it"
