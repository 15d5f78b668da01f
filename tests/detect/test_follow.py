"""A log that grows, is rotated and is emptied; each step of the wait changes the file, the last one interrupts."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from detect.captures import zeek_conn, zeek_row
from detect.test_match import CELL, DAY, policy_of
from reconshield.detection import Detection
from reconshield.errors import UserError
from reconshield.jobs.detect import make_setting
from reconshield.jobs.detect_follow import Follow, Tail

PEERS = ("203.0.113.35", "203.0.113.36", "203.0.113.37")


def log_of(peer: str, count: int = 1) -> bytes:
    return zeek_conn([zeek_row(DAY + at, "10.20.4.9", peer, 110) for at in range(count)])


def lines_of(peer: str) -> bytes:
    return b"".join(line for line in log_of(peer).splitlines(keepends=True) if not line.startswith(b"#"))


def follow(path: Path, *steps: Callable[[], object]) -> tuple[list[Detection], Follow]:
    left, ticks, found = list(steps), iter(range(0, 10_000, 10)), list[Detection]()

    def wait(_: float) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop(0)()

    following = Follow(path, make_setting(policy_of(CELL), DAY + 86_400.0))
    coming = following.run(wait, lambda: float(next(ticks)))
    with suppress(KeyboardInterrupt):
        while True:
            found.append(next(coming))
    return found, following


@pytest.fixture(autouse=True)
def _judge_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconshield.jobs.detect_follow.SHARE", 0)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_detections_come_as_the_log_grows_and_once_each(tmp_path: Path) -> None:
    path = tmp_path / "conn.log"
    path.write_bytes(log_of(PEERS[0]))
    line = lines_of(PEERS[1])
    found, following = follow(
        path,
        lambda: append(path, line[:40]),
        lambda: append(path, line[40:]),
        lambda: append(path, lines_of(PEERS[0])),
        lambda: append(path, lines_of(PEERS[2]) + b"nonsense\n"),
    )
    assert [each.dst for each in found] == list(PEERS)
    assert (following.found.format, following.found.records, following.found.bad) == ("zeek-conn", 4, 1)
    first = log_of(PEERS[0]).splitlines().index(lines_of(PEERS[0]).rstrip(b"\n")) + 1
    assert path.read_bytes().splitlines()[int(found[1].sample[0].rpartition(":")[2]) - 1] == line.rstrip(b"\n")
    assert found[0].sample == (f"{path}:{first}",)


def test_a_rotated_and_an_emptied_log_are_read_on_from_their_beginning(tmp_path: Path) -> None:
    path = tmp_path / "conn.log"
    path.write_bytes(log_of(PEERS[0], 50))
    found, following = follow(
        path,
        lambda: path.rename(tmp_path / "conn.1.log"),
        lambda: path.write_bytes(log_of(PEERS[1], 30)),
        lambda: None,
        lambda: path.write_bytes(log_of(PEERS[2])),
        lambda: None,
        lambda: None,
    )
    assert [each.dst for each in found] == list(PEERS)
    assert following.found.records == 81


def test_eve_is_followed_too(tmp_path: Path) -> None:
    path = tmp_path / "eve.json"
    counts = {"pkts_toserver": 1, "pkts_toclient": 1, "bytes_toserver": 60, "bytes_toclient": 60}
    flow = counts | {"start": "2026-01-01T00:00:00.000000+0000", "end": "2026-01-01T00:00:01.000000+0000"}
    event = {"timestamp": flow["start"], "event_type": "flow", "src_ip": "10.20.4.9", "src_port": 40_000, "dest_port": 110}
    lines = [json.dumps(event | {"dest_ip": peer, "proto": "TCP", "flow": flow}) + "\n" for peer in PEERS]
    path.write_text(lines[0])
    found, _ = follow(path, lambda: append(path, lines[1].encode()), lambda: append(path, lines[2].encode()))
    assert [each.dst for each in found] == list(PEERS)


CAPTURE = b"\xd4\xc3\xb2\xa1\2\0\4\0" + bytes(16) + b"\n"
PACKED = b"\x1f\x8b\x08" + b"x" * 9 + b"\n"


@pytest.mark.parametrize("data", [CAPTURE, PACKED, b"what is this\n"])
def test_what_is_no_log_of_lines_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "some"
    path.write_bytes(data)
    with pytest.raises(UserError):
        next(Follow(path, make_setting(None, DAY)).run())


def test_a_log_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        next(Follow(tmp_path / "conn.log", make_setting(None, DAY)).run())


def test_a_line_that_never_ends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconshield.jobs.detect_follow.MOST_LINE", 100)
    path = tmp_path / "some"
    path.write_bytes(b"x" * 200)
    with closing(Tail(path)) as tail, pytest.raises(UserError, match="16 MB"):
        tail.take()


def test_what_came_just_before_an_interrupt_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconshield.jobs.detect_follow.LEAST_PAUSE", 1e9)
    path = tmp_path / "conn.log"
    path.write_bytes(log_of(PEERS[0]))
    found, _ = follow(path, lambda: append(path, lines_of(PEERS[1])))
    assert [each.dst for each in found] == list(PEERS[:2])
