"""The registry: look-ups of rows that are easy to get wrong, and the guards that keep a broken download out."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from reconshield.errors import UserError
from reconshield.knowledge import registry, registry_build, tables

LOOKUPS = [
    # port, transport, names; why it is here
    (110, "tcp", ("pop3",)),
    (110, "udp", ("pop3",)),  # registered, though nothing uses it
    (80, "tcp", ("http", "www", "www-http")),  # several names
    (465, "tcp", ("submissions", "urd")),
    (6005, "tcp", ("x11",)),  # inside a range
    (4242, "udp", ("vrml-multi-use",)),  # a range whose row names no transport
    (6400, "tcp", ("boe-cms",)),  # a single port whose row names no transport
    (2, "tcp", ()),  # reserved: a row without a name
    (50051, "tcp", ()),
    (0, "tcp", ()),
    (65535, "udp", ()),
]


@pytest.mark.parametrize(("port", "transport", "names"), LOOKUPS)
def test_registered_names(port: int, transport: str, names: tuple[str, ...]) -> None:
    assert registry.registered_names(port, transport) == names


def test_table_is_whole() -> None:
    rows = registry.all_rows()
    head = tables.header(registry.table_text())
    assert len(rows) == 6419 == int(head["rows"])
    assert registry.registry_date() == "2026-02-13"
    assert all(0 <= row.low <= row.high <= 49151 and row.name and len(row.title) <= 60 for row in rows)


def test_look_up_agrees_with_the_whole_table() -> None:
    rows = registry.all_rows()
    for port in (*range(1100), 3367, 3371, 4199, 4200, 4299, 4300, 5999, 6063, 6064, 27009, 49151):
        expected = {row for row in rows if row.low <= port <= row.high}
        assert set(registry.assignments(port)) == expected


def test_names_are_found_without_regard_to_capitals() -> None:
    assert [(row.low, row.transports) for row in registry.port_of_name("MS-WBT-Server")] == [(3389, ("tcp", "udp"))]
    assert registry.port_of_name("no-such-name") == ()
    assert registry.port_of_name(".*") == ()


@pytest.mark.parametrize(
    ("port", "name"), [(0, "system"), (1023, "system"), (1024, "user"), (49152, "dynamic"), (65535, "dynamic")]
)
def test_range_class(port: int, name: str) -> None:
    assert registry.range_class(port).name == name


HEADER = (
    "Service Name,Port Number,Transport Protocol,Description,Assignee,Contact,Registration Date,Modification Date,"
    "Reference,Service Code,Unauthorized Use Reported,Assignment Notes\n"
)
WANTED = "".join(
    f"{name},{port},tcp,A title,[Jane_Doe],[Jane_Doe],,2026-02-13,,,,\n" for port, name in registry_build.SENTINELS.items()
)


def csv_text(extra: str = "", filler: int = 14_000, known: str = WANTED) -> str:
    """A registry of the right size: known names, rows that end up in no table, and what a test adds."""
    return HEADER + known + extra + ",7000,tcp,Unassigned,,,,,,,,\n" * filler


def body_of(table: str) -> list[str]:
    return [line for line in table.splitlines() if not line.startswith("#")]


def test_build_merges_transports_and_leaves_people_out() -> None:
    extra = 'two,9,tcp,"A title\nover two lines",[Jane_Doe],,,,,,,\ntwo,9,udp,A title over two lines,,,,,,,,\n'
    extra += "span,300-302,,No transport,,,,,,,,\n" + f"long,10,udp,{'word ' * 20},,,,,,,,\n"
    table = registry_build.build_registry(csv_text(extra))
    assert "Jane_Doe" not in table
    assert "9\ttu\ttwo\tA title over two lines" in body_of(table)
    assert "300-302\t*\tspan\tNo transport" in body_of(table)
    title = next(line for line in body_of(table) if "\tlong\t" in line).split("\t")[3]
    assert len(title) <= 60
    assert title.endswith("word")
    assert len(body_of(table)) == 9


BROKEN = [
    (HEADER.replace("Port Number", "Port") + WANTED, "no column 'Port Number'"),
    (csv_text(filler=10), "records, at least 14,000"),
    (csv_text(known=WANTED.replace("pop3,110", "pop3,111")), "does not name port 110 pop3"),
    ("<html>try later</html>", "no column"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_broken_csv_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        registry_build.build_registry(text)


def test_shrinkage_is_refused() -> None:
    rows = [f"{port}\ttu\tname{port}\tTitle" for port in range(1, 3001)]
    registry_build.refuse_shrinkage("\n".join(rows), "\n".join(rows[50:]))
    with pytest.raises(UserError, match="51 assignments would leave"):
        registry_build.refuse_shrinkage("\n".join(rows), "\n".join(rows[51:]))
    retitled = [row.replace("Title", "New title") for row in rows[:100]] + rows[100:]
    with pytest.raises(UserError, match="more than 3 %"):
        registry_build.refuse_shrinkage("\n".join(rows), "\n".join(retitled))


def test_difference_reads_in_order_of_port() -> None:
    assert registry_build.compare_tables(
        "# x\n80\tt\twww\tWeb\n9\tu\ta\tA\n", "80\tt\twww\tThe web\n9\tu\ta\tA\n10\tt\tb\tB\n"
    ) == [
        "+ 10\tt\tb\tB",
        "+ 80\tt\twww\tThe web",
        "- 80\tt\twww\tWeb",
    ]


def test_same_table_is_the_same_file(tmp_path: Path) -> None:
    digests = set()
    for name in ("a.tsv.gz", "b.tsv.gz"):
        registry_build.write_table(registry.table_text(), tmp_path / name)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1
    assert gzip.decompress((tmp_path / "a.tsv.gz").read_bytes()).decode() == registry.table_text()
