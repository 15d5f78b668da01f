"""What somebody may try against the server: heads and bodies without end or without haste, and more than their share."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from reconshield.addresses import AddressSet, PortSet
from reconshield.scan.plan import Plan
from reconshield.store.runs import create_run
from reconshield.web import headers, heavy, server
from reconshield.web.call import Site
from reconshield.web.door import COOKIE

Make = Callable[..., Any]
PATIENCE = 0.4


@pytest.fixture
def running(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, int]]:
    """The real server with little patience and small limits, and its port."""
    monkeypatch.setattr(server, "HEAD_PATIENCE", PATIENCE)
    monkeypatch.setattr(headers, "BODY_PATIENCE", PATIENCE)
    monkeypatch.setattr(headers, "MOST_UPLOAD", 3_000_000)
    listening = server.listen("127.0.0.1", 0, next_free=False)
    made = server.make_server(site)
    thread = threading.Thread(target=made.run, kwargs={"sockets": [listening]})
    thread.start()
    yield made, listening.getsockname()[1]
    made.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def port(running: tuple[Any, int]) -> int:
    return running[1]


def talk(port: int, begin: bytes, more: Iterator[bytes] | None = None, pause: float = 0.0) -> tuple[bytes, int, float]:
    """Send something, then more of it as long as it is taken: the answer, bytes sent, seconds until the other side closed."""
    begun, sent = time.monotonic(), 0
    with socket.create_connection(("127.0.0.1", port), 20) as made:
        answer = b""
        with suppress(ConnectionError):
            made.sendall(begin)
            sent += len(begin)
            for part in more or ():
                made.sendall(part)
                sent += len(part)
                time.sleep(pause)
        with suppress(ConnectionError):
            while part := made.recv(65536):
                answer += part
    return answer, sent, time.monotonic() - begun


def dribble(text: bytes, times: int) -> Iterator[bytes]:
    for _ in range(times):
        yield text


def test_a_head_that_never_ends_is_not_waited_for(port: int) -> None:
    for begin in (b"", b"GET / HT", b"GET /login HTTP/1.1\r\nhost: x\r\n"):
        assert talk(port, begin)[2] < 10
    answer, sent, seconds = talk(port, b"GET /login HTTP/1.1\r\n", dribble(b"x", 300), pause=0.05)
    assert (answer, seconds < 12, sent < 250) == (b"", True, True)


def test_a_second_head_that_never_ends_is_not_waited_for_either(port: int) -> None:
    answer, _, seconds = talk(port, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /log")
    assert answer.startswith(b"HTTP/1.1 200")
    assert seconds < 10


def test_a_head_without_end_is_refused_before_it_fills_the_memory(port: int) -> None:
    answer, sent, _ = talk(port, b"GET / HTTP/1.1\r\nhost: x\r\n", dribble(b"x: " + b"y" * 10_000 + b"\r\n", 2000))
    assert sent < 10_000_000
    assert not answer or answer.startswith(b"HTTP/1.1 4")


def test_a_body_that_does_not_come_is_not_waited_for(port: int, person: Make) -> None:
    who = person("admin").client.cookies[COOKIE].encode()
    head = b"POST /policy/check HTTP/1.1\r\nhost: 127.0.0.1\r\ncookie: rs_session=" + who
    form = b"\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 1000\r\n\r\ntext="
    answer, _, seconds = talk(port, head + form)
    assert answer.startswith(b"HTTP/1.1 408")
    assert seconds < 15


def test_a_body_of_a_byte_now_and_then_is_not_waited_for(port: int) -> None:
    head = b"POST /login HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    answer, sent, seconds = talk(port, head + b"content-length: 10000\r\n\r\nname=", dribble(b"x", 400), pause=0.05)
    assert answer.startswith(b"HTTP/1.1 408") or not answer
    assert (sent < 400, seconds < 15) == (True, True)


def test_an_upload_without_end_is_refused_and_leaves_nothing(
    port: int, person: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    who = person("analyst").client.cookies[COOKIE].encode()
    head = b"POST /detections HTTP/1.1\r\nhost: 127.0.0.1\r\ncookie: rs_session=" + who
    head += b"\r\ncontent-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n\r\n"
    part = b'--b\r\ncontent-disposition: form-data; name="flows"; filename="x.log"\r\n\r\n'
    first = head + b"%x\r\n%s\r\n" % (len(part), part)
    answer, sent, _ = talk(port, first, dribble(b"10000\r\n" + b"x" * 65536 + b"\r\n", 1000))
    assert answer.startswith(b"HTTP/1.1 413") or not answer
    assert sent < 30_000_000
    assert not list(folder.iterdir())
    small = b"POST /login HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 99999999\r\n\r\n"
    assert talk(port, small)[0].startswith(b"HTTP/1.1 413")


def test_who_leaves_in_the_middle_of_an_upload_leaves_nothing(
    port: int, person: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    who = person("analyst").client.cookies[COOKIE]
    head = f"POST /detections HTTP/1.1\r\nhost: 127.0.0.1\r\ncookie: rs_session={who}\r\ncontent-length: 2500000\r\n"
    head += "content-type: multipart/form-data; boundary=b\r\n\r\n"
    head += '--b\r\ncontent-disposition: form-data; name="flows"; filename="x.log"\r\n\r\n'
    with socket.create_connection(("127.0.0.1", port), 20) as made:
        made.sendall(head.encode() + b"x" * 2_000_000)
    deadline = time.monotonic() + 10
    while list(folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list(folder.iterdir())


def test_too_many_fields_and_files_are_refused(person: Make) -> None:
    analyst = person("analyst")
    many = "&".join(f"f{number}=1" for number in range(5000))
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert analyst.client.post("/detections", content=f"csrf={analyst.csrf}&{many}", headers=kind).status_code in {
        400,
        403,
        413,
    }
    files = [("flows", (f"{number}.log", b"x")) for number in range(100)]
    assert analyst.client.post("/detections", data={"csrf": analyst.csrf}, files=files).status_code in {400, 413}


def test_no_account_watches_more_than_its_share_however_many_ask_at_once(
    port: int, site: Site, person: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heavy, "WATCHED", 5)
    who, run = person("viewer").client.cookies[COOKIE], run_elsewhere(site)
    lines = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(20)]
    head = f"GET /scans/{run}/events HTTP/1.1\r\nhost: 127.0.0.1\r\ncookie: rs_session={who}\r\n\r\n".encode()
    for made in lines:
        made.sendall(head)
    said = [made.recv(65536)[:12] for made in lines]
    assert Counter(said) == {b"HTTP/1.1 200": 5, b"HTTP/1.1 429": 15}
    for made in lines:
        made.close()
    deadline = time.monotonic() + 15
    while heavy.WATCHING and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not heavy.WATCHING


def run_elsewhere(site: Site) -> str:
    """A run that another process measures."""
    plan = Plan(AddressSet.of("127.77.0.9"), PortSet(tcp=((1, 500),)), 7, 16)
    options: dict[str, Any] = {"targets": ["127.77.0.9"], "exclude": [], "shard": [0, 1], "dropped": []}
    common: dict[str, Any] = {"engine": "connect", "vantage": "local", "grants": ["g1"], "level": 2, "now": time.time()}
    return create_run(site.store_of("main"), plan=plan.to_json(), options=options, **common).id


def test_answers_are_sent_at_once(running: tuple[Any, int]) -> None:
    """Head and body are two writes; without TCP_NODELAY the second one waits for an acknowledgement, 40 ms on Linux."""
    app, port = running
    with socket.create_connection(("127.0.0.1", port), 20) as made:
        made.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert made.recv(65536).startswith(b"HTTP/1.1 200")
        [connection] = app.server_state.connections
        assert connection.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
