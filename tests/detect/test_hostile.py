"""Every reader on broken input: nothing but items comes out, in bounded time, and what was whole before the damage is kept."""

from __future__ import annotations

import gzip
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detect.captures import conversation, pcap, pcapng, zeek_conn, zeek_row
from detect.clouds import document, gcp, json_lines, nsg, vnet, vpc, vpc_row
from detect.exporters import WHOLE as EXPORTS
from detect.hostlogs import WHOLE as HOST_LOGS
from detect.reading import faults_in, flows_in, pieces, read_all
from detect.test_logs import eve, lines
from detect.test_zeek import entry, table
from reconshield.cli.main import make_app
from reconshield.detect.flows import Flows, Reader
from reconshield.detect.readers import READERS

FRAMES = [frame for at in range(5) for frame in conversation(1_760_000_000 + at, "10.0.0.5", 40_000 + at, "10.0.0.9", 80)]
WHOLE = {
    **HOST_LOGS,
    **EXPORTS,
    "pcap": pcap(FRAMES),
    "pcapng": pcapng(FRAMES),
    "zeek-conn": zeek_conn([zeek_row(1_760_000_000 + at, "10.0.0.5", "10.0.0.9", 80) for at in range(20)]),
    "zeek-json": lines(*(zeek_row(1_760_000_000 + at, "10.0.0.5", "10.0.0.9", 80) for at in range(20))),
    "zeek-names": table(*(entry(query=f"a{at}.example") for at in range(20))),
    "aws-vpc": vpc([vpc_row(1_760_000_000 + at, "10.0.0.5", "10.0.0.9", 80) for at in range(20)]),
    "azure-flow": document(
        [
            *nsg(*([f"176000000{at},10.0.0.5,10.0.0.9,4000{at},80,T,O,A,B,,,,"] for at in range(10))),
            *vnet(*([f"176000000{at}000,10.0.0.5,10.0.0.8,4000{at},80,6,O,B,NX,0,0,0,0"] for at in range(10))),
        ]
    ),
    "gcp-flow": json_lines(gcp(at, "10.0.0.5", "10.0.0.9", 80) for at in range(20)),
    "eve": lines(*(eve(flow_id=number) for number in range(20))),
}

ARRAYS = {name: b"[" + WHOLE[name].strip().replace(b"\n", b", ") + b"]" for name in ("eve", "zeek-json")}


def test_every_reader_is_tried_here() -> None:
    assert set(WHOLE) == {reader.name for reader in READERS}


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_it_recognises_its_own_and_no_other(reader: Reader) -> None:
    assert [name for name, data in WHOLE.items() if reader.recognises(data[:65_536])] == [reader.name]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
@given(data=st.binary(max_size=400), seed=st.integers(0, 10_000), size=st.integers(1, 300))
def test_anything_may_come(reader: Reader, data: bytes, seed: int, size: int) -> None:
    chance = random.Random(seed)
    texts = [each[reader.name] for each in (WHOLE, ARRAYS) if reader.name in each]
    for broken in (data, *(broken for text in texts for broken in damage(text, chance))):
        for item in reader.items(pieces(broken, size), 1_760_100_000.0) if reader.recognises(broken[:65_536]) else ():
            if isinstance(item, Flows):
                assert (item.rows["app"] < len(item.apps)).all()


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_no_line_takes_long(reader: Reader) -> None:
    data, long = WHOLE[reader.name], 100_000
    if b"\0" in data[:64]:
        return  # no lines
    line = data.strip().rpartition(b"\n")[2]
    words = sorted({word for word in line.replace(b"\t", b" ").replace(b",", b" ").split(b" ") if word})
    for word in [b" ", b":", b".", *words[:20]]:
        many, apart = word * (long // len(word)), (word + b" ") * (long // (len(word) + 1))
        for slow in (
            line + many,
            many + line,
            line + apart,
            apart + line,
            line.replace(word, many, 1),
            line.replace(word, apart, 1),
        ):
            begun = time.process_time()
            for _ in reader.items([data + slow + b"\n"], 1_760_100_000.0):
                pass
            reader.recognises(slow[:65_536])
            assert time.process_time() - begun < 3, (word, slow[:80])


def damage(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """Cut, with bytes changed, with bytes doubled."""
    at = chance.randrange(len(data))
    yield data[:at]
    changed = bytearray(data)
    for _ in range(5):
        changed[chance.randrange(len(data))] = chance.randrange(256)
    yield bytes(changed)
    yield data[:at] + data[max(0, at - 30) :]


def test_a_line_without_end_costs_no_memory_and_is_named() -> None:
    data = WHOLE["zeek-conn"].replace(b"#close", b"x" * 9_000_000 + b"\n#close")
    items = read_all(data, 100_000)
    assert len(flows_in(items)) == 20
    assert any(fault.endswith("longer than 1 MiB") for fault in faults_in(items))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str]:
    make_app()(["detect", "run", *words], standalone_mode=False)
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_a_truncated_gzip_gives_what_could_be_unpacked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = gzip.compress(WHOLE["pcap"])
    (tmp_path / "a.pcap.gz").write_bytes(packed[:-40])
    out, _ = run(capsys, str(tmp_path / "a.pcap.gz"), "--json")
    first = out.splitlines()[0]
    assert '"format":"pcap"' in first
    assert '"records":4' in first  # the fifth lies in what was cut off
    assert '"bad":0' not in first


def test_a_file_of_names_alone_is_a_file_that_was_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dns.log").write_bytes(WHOLE["zeek-names"])
    out, _ = run(capsys, str(tmp_path / "dns.log"))
    assert "zeek-names  0 records, 20 names" in out
    assert "where its flow is read too" in out
    out, _ = run(capsys, str(tmp_path / "dns.log"), "--json")
    assert '"names":20' in out


def test_a_time_that_cannot_be_is_named_or_not_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = WHOLE["zeek-conn"].splitlines()[6]
    broken = good.replace(good.split(b"\t")[0], b"999999999999999999")
    assert faults_in(read_all(WHOLE["zeek-conn"].replace(good, broken))) == ["line 7: ts is none"]
    event = eve()
    event["flow"] = {"pkts_toserver": 1, "pkts_toclient": 0, "start": 1e300, "end": 1e301}
    (tmp_path / "eve.json").write_bytes(lines(event, eve()))
    out, _ = run(capsys, str(tmp_path / "eve.json"))
    assert "2 records" in out
