"""A host's own lists of its sockets: the same few sockets as each program prints them, and this machine's own table."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from detect.hostlogs import LSOF, NETSTAT, NETSTAT_BSD, NETSTAT_WINDOWS, PROC, SS
from detect.reading import faults_in, flows_in, pieces
from reconshield.cli.main import make_app
from reconshield.detect import sockets as module
from reconshield.detect.flows import Item, Listening, Mark, Note
from reconshield.detect.pieces import as_utf8
from reconshield.detect.readers import recognise
from reconshield.detect.sockets import read_end

AT = 1_760_000_000.0
UNSURE = int(Mark.UNSURE)


def items_of(data: bytes, size: int = 1 << 20) -> list[Item]:
    reader = recognise(data)
    assert reader is not None
    return list(reader.items(pieces(data, size), AT))


def listeners_in(items: list[Item]) -> list[tuple[object, ...]]:
    return sorted((i.transport, i.ip, i.port, i.process, i.pid) for i in items if isinstance(i, Listening))


def connections_in(items: list[Item]) -> set[tuple[object, ...]]:
    return {(f["src"], f["dst"], f["ends"][1], f["transport"], f["state"], f["marks"]) for f in flows_in(items)}


COMMON = {("10.0.0.5", "10.0.0.9", 22, 6, "established", 0), ("10.0.0.9", "203.0.113.7", 443, 6, "established", 0)}
WINDOWS = {("10.0.0.5", "10.0.0.9", 22, 6, "unknown", 0), ("10.0.0.9", "203.0.113.7", 443, 6, "established", 0)}
MAPPED = {("10.0.0.6", "10.0.0.9", 22, 6, "established", 0)}
LISTS = {
    "proc": (PROC.encode(), None, None, COMMON | MAPPED),
    "netstat": (NETSTAT.encode(), ("sshd: /usr/sbin", 812), ("systemd-resolve", 601), COMMON),
    "bsd": (NETSTAT_BSD.encode(), None, None, COMMON - {("10.0.0.5", "10.0.0.9", 22, 6, "established", 0)}),
    "windows": (NETSTAT_WINDOWS.encode(), (None, 812), (None, 601), WINDOWS),
    "powershell": (b"".join(as_utf8([NETSTAT_WINDOWS.encode("utf-16")])), (None, 812), (None, 601), WINDOWS),
    "codepage": (NETSTAT_WINDOWS.encode("cp850"), (None, 812), (None, 601), WINDOWS),
    "crlf": (NETSTAT_WINDOWS.replace("\n", "\r\n").encode(), (None, 812), (None, 601), WINDOWS),
    "lsof": (LSOF.encode(), ("sshd", 812), ("systemd-r", 601), COMMON),
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("size", [1 << 20, 7])
def test_every_list_tells_the_same_sockets(name: str, size: int) -> None:
    data, ssh, dns, connections = LISTS[name]
    items = items_of(data, size)
    found = listeners_in(items)
    every = "::" if name == "bsd" else "0.0.0.0"
    assert [place[:3] for place in found] == [("tcp", every, 22), ("tcp", "::1", 631), ("udp", "127.0.0.53", 53)]
    for place, wanted in ((found[0], ssh), (found[2], dns)):
        assert place[3:] == (wanted or (None, None))
    assert connections_in(items) == connections
    assert {flow["start"] for flow in flows_in(items)} == {AT}
    assert faults_in(items) == []
    assert [item.text for item in items if isinstance(item, Note)] == [module.TIMELESS]


def test_ss_with_all_columns() -> None:
    items = items_of(SS.encode())
    assert listeners_in(items) == [
        ("tcp", "0.0.0.0", 22, "sshd: a b", 812),
        ("tcp", "::", 80, "nginx", 900),
        ("udp", "127.0.0.53", 53, "systemd-resolve", 601),
        ("udp", "fe80::1", 546, None, None),
    ]
    assert connections_in(items) == {
        *COMMON,
        ("10.0.0.6", "10.0.0.9", 80, 6, "established", 0),
        ("203.0.113.7", "10.0.0.9", 51_001, 6, "established", UNSURE),
        ("2001:db8::9", "2001:db8::7", 25, 6, "unknown", 0),
        ("10.0.0.9", "10.0.0.1", 67, 17, "established", UNSURE),
    }
    assert faults_in(items) == []


HEADLESS = b"""\
ESTAB 0      0            10.0.0.9:22       10.0.0.5:50000
ESTAB 0      0            10.0.0.9:51000 203.0.113.7:443
LISTEN 0     0           127.0.0.1:5432      0.0.0.0:*
ESTAB 0      0           127.0.0.1:5432    127.0.0.1:40000
ESTAB 0      0           127.0.0.1:40000   127.0.0.1:5432
ESTAB 0      0           127.0.0.1:ssh     127.0.0.1:40001
ESTAB 0      0           somewhere:22      127.0.0.1:40001
nonsense
"""


def test_ss_without_header_and_kind() -> None:
    items = items_of(HEADLESS)
    assert connections_in(items) == {
        ("10.0.0.9", "10.0.0.5", 50_000, 6, "established", 0),
        ("10.0.0.9", "203.0.113.7", 443, 6, "established", 0),
        ("127.0.0.1", "127.0.0.1", 5432, 6, "established", 0),
    }
    assert faults_in(items) == [
        "line 6: '127.0.0.1:ssh' has no port number: make the list with -n",
        "line 7: 'somewhere:22' has no address: make the list with -n",
        "line 8: no line of ss",
    ]
    assert any("no column Netid" in item.text for item in items if isinstance(item, Note))


def test_without_any_listener_who_began_is_a_guess_by_the_lower_port() -> None:
    items = items_of(b"".join(HEADLESS.splitlines(keepends=True)[:2]))
    assert connections_in(items) == {
        ("10.0.0.5", "10.0.0.9", 22, 6, "established", UNSURE),
        ("10.0.0.9", "203.0.113.7", 443, 6, "established", UNSURE),
    }


def test_the_time_is_not_known_where_nobody_says_when_the_file_was_changed() -> None:
    reader = recognise(SS.encode())
    assert reader is not None
    items = list(reader.read([SS.encode()]))
    assert all(flow["start"] != flow["start"] for flow in flows_in(items))
    assert not any(isinstance(item, Note) for item in items)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[::1]:22", ("::1", 22)),
        (":::22", ("::", 22)),
        ("*:80", ("::", 80)),
        ("*.*", ("::", 0)),
        ("127.0.0.53%lo:53", ("127.0.0.53", 53)),
        ("[fe80::1%eth0]:546", ("fe80::1", 546)),
        ("[fe80::1]%eth0:546", ("fe80::1", 546)),
        ("fe80::1%lo0.631", ("fe80::1", 631)),
        ("::ffff:10.0.0.9:80", ("10.0.0.9", 80)),
        ("0.0.0.0:*", ("0.0.0.0", 0)),
        ("2001:db8:1:2:3:44:443", None),
        ("10.0.0.9:65536", None),
        ("10.0.0.9", None),
    ],
)
def test_every_way_to_write_an_end(text: str, wanted: tuple[str, int] | None) -> None:
    if wanted is None:
        with pytest.raises(ValueError, match="make the list with -n"):
            read_end(text)
    else:
        assert read_end(text) == wanted


def test_connections_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    head = SS.splitlines()[0]
    lines = [f"tcp ESTAB 0 0 10.0.0.9:{50_000 + number} 203.0.113.7:443" for number in range(95)]
    assert len(flows_in(items_of("\n".join([head, *lines]).encode()))) == 95


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="not Linux")
def test_this_machines_own_table_has_the_listener_and_the_connection_of_this_test() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        items = items_of(b"".join(Path(f"/proc/net/{name}").read_bytes() for name in ("tcp", "udp")))
        port, own = server.getsockname()[1], client.getsockname()[1]
    assert ("tcp", "127.0.0.1", port, None, None) in listeners_in(items)
    mine = [flow for flow in flows_in(items) if flow["ends"] == (own, port)]
    assert [(flow["src"], flow["dst"], flow["state"], flow["marks"]) for flow in mine] == [
        ("127.0.0.1", "127.0.0.1", "established", 0)
    ]
    assert faults_in(items) == []


def test_a_file_of_listeners_alone_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ss.txt"
    path.write_text("\n".join(line for line in SS.splitlines() if "LISTEN" in line or "Netid" in line) + "\n")
    make_app()(["detect", "run", str(path)], standalone_mode=False)
    out = capsys.readouterr().out
    assert "ss  0 records, 2 listeners" in out
    assert module.TIMELESS in out
