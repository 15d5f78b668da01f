"""The catalogue: every file is without a fault, every fault is told with file, line, key and what is allowed."""

# ruff: noqa: E501 - a table of cases reads best with one case a line
from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reconshield.errors import UserError
from reconshield.knowledge import catalog, consistency, describe
from reconshield.knowledge.observed import observed_uses
from reconshield.knowledge.ports import HELD_BACK, held_back
from reconshield.knowledge.records import HeldBackRow
from reconshield.toml import schema
from reconshield.toml.faults import find_line

DOCS = Path(__file__).parents[2] / "docs"

ENTRY = """\
id = "entry"
name = "Entry"
full_name = "An entry for tests"
registered = ["entry"]
clusters = ["mail"]

[answer]
text = "What it is."
source = "reconshield"

[[endpoint]]
port = 110
transport = "tcp"
tls = "starttls"
role = "mixed"
role_text = "somewhere"
twin = 995
[endpoint.risk]
impact         = { points = 14, because = "a mailbox", source = "reconshield" }
authentication = { points = 8, because = "a password", source = "reconshield" }
transport      = { points = 12, because = "clear text", source = "reconshield" }
exploitation   = { points = 6, because = "guessing", source = "reconshield", attack = "T1110" }
intended       = { points = 4, because = "for some", source = "reconshield" }

[[endpoint]]
port = 995
transport = "tcp"
tls = "implicit"
role = "public"
role_text = "anywhere"
[endpoint.risk]
impact         = { points = 14, because = "a mailbox", source = "reconshield" }
authentication = { points = 8, because = "a password", source = "reconshield" }
transport      = { points = 0, because = "TLS", source = "reconshield" }
exploitation   = { points = 6, because = "guessing", source = "reconshield" }
intended       = { points = 0, because = "for all", source = "reconshield" }

[[related]]
port = 143
transport = "tcp"
because = "same server"
"""

ALONE = [
    # what is replaced, by what, line, key, message, allowed
    ("points = 12,", "points = 13,", 21, "endpoint[1].risk.transport.points", "points = 13 is not allowed", "one of 12, 8, 5, 0"),
    ("points = 14, because", 'points = "14", because', 19, "endpoint[1].risk.impact.points", "points has the wrong type", "one of 30"),
    ('role = "mixed"', 'role = "open"', 15, "endpoint[1].role", "role = 'open' is not allowed", "one of public, mixed"),
    ('name = "Entry"\n', "", 1, "", "the key name is missing", "a text"),
    ("twin = 995", "twin = 993", 17, "endpoint[1].twin", "twin = 993 is no other endpoint", "a port of this file"),
    ("port = 110", "port = 70000", 12, "endpoint[1].port", "port = 70000 is out of range", "0 to 65535"),
    ("port = 110", "port = true", 12, "endpoint[1].port", "port has the wrong type", "whole number"),
    ("[[related]]", "[[relatd]]", 38, "relatd", "unknown key relatd", "related"),
    ("because = \"clear text\"", f'because = "{"x" * 61}"', 21, "endpoint[1].risk.transport.because", "61 characters, 1 too many", "at most 60"),
    ('text = "What it is."', 'text = ""', 8, "answer.text", "text is empty", "200 characters"),
    ('clusters = ["mail"]', 'clusters = ["male"]', 5, "clusters", "clusters = 'male' is not allowed", "mail"),
    ('clusters = ["mail"]', "clusters = []", 5, "clusters", "in no cluster", "at least one"),
    ('clusters = ["mail"]', 'clusters = ["mail", "mail"]', 5, "clusters", "stands twice", "different"),
    ('attack = "T1110"', 'attack = "1110"', 22, "endpoint[1].risk.exploitation.attack", "wrong form", "T"),
    ('tls = "starttls"', 'tls = "implicit"', 21, "endpoint[1].risk.transport.points", "implicit TLS contradicts", "0"),
    ("points = 0, because = \"for all\"", "points = 8, because = \"for all\"", 36, "endpoint[2].risk.intended.points", "role public contradicts", "0 or 4"),
    ("intended       = { points = 4", "physical = { points = 10, because = \"x\", source = \"reconshield\" }\nintended       = { points = 4", 23, "endpoint[1].risk.physical", "outside the cluster ot", "cluster ot"),
    ("intended       = { points = 4", "amplification = { points = 2, because = \"x\", source = \"reconshield\" }\nintended       = { points = 4", 23, "endpoint[1].risk.amplification", "on a tcp endpoint", "udp"),
]  # fmt: skip


def test_the_entry_is_good() -> None:
    entry = catalog.load_service(ENTRY)
    assert [(row.port, len(row.risk.listed())) for row in entry.endpoint] == [(110, 5), (995, 5)]


@pytest.mark.parametrize(("old", "new", "line", "key", "message", "allowed"), ALONE)
def test_a_fault_is_told_with_its_place(old: str, new: str, line: int, key: str, message: str, allowed: str) -> None:
    assert old in ENTRY
    with pytest.raises(UserError) as told:
        catalog.load_service(ENTRY.replace(old, new, 1))
    assert told.value.where == f"entry:{line} {key}".rstrip()
    assert message in told.value.message
    assert allowed in str(told.value.hint)


def test_each_fault_is_told_once(tmp_path: Path) -> None:
    text = (
        ENTRY.replace("points = 12", "points = 13")
        .replace('role = "mixed"', 'role = "open"')
        .replace('"entry"]', '"entry", 4]')
    )
    path = tmp_path / "entry.toml"
    path.write_text(text)
    _, faults = catalog.find_faults([path])
    assert [fault.line for fault in faults] == [4, 15, 21]


def test_an_endpoint_stands_once() -> None:
    with pytest.raises(UserError, match="110/tcp stands twice") as told:
        catalog.load_service(ENTRY.replace("port = 995", "port = 110").replace("twin = 995\n", ""))
    assert told.value.where == "entry:24 endpoint[2]"


def test_broken_toml_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "half.toml"
    path.write_text('id = "half"\n[answer')
    with pytest.raises(UserError, match="not valid TOML") as told:
        catalog.load_service(path)
    assert told.value.where == "half.toml"
    assert [str(fault)[:11] for fault in catalog.find_faults([path])[1]] == ["half.toml:1"]


def test_the_file_name_is_the_id(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text(ENTRY)
    with pytest.raises(UserError, match="is not the name of the file"):
        catalog.load_service(path)


AMONG = [
    ('source = "reconshield"', 'source = "rfc0"', 9, "unknown source rfc0"),
    ('attack = "T1110"', 'attack = "T9999"', 22, "unknown ATT&CK id T9999"),
    ("port = 143", "port = 50051", 39, "50051/tcp is neither in the catalogue nor registered"),
    ('registered = ["entry"]', 'registered = ["entry"]\naliases = ["entry"]', 5, "already a name of this entry"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "message"), AMONG)
def test_faults_among_files(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    path = tmp_path / "entry.toml"
    path.write_text(ENTRY.replace(old, new, 1))
    faults = catalog.find_faults([path])[1]
    assert [(fault.line, message in fault.fault.message) for fault in faults] == [(line, True)]


def test_a_name_leads_to_one_service(tmp_path: Path) -> None:
    other = ENTRY.replace('id = "entry"', 'id = "other"').replace('registered = ["entry"]', 'aliases = ["entry"]')
    (tmp_path / "entry.toml").write_text(ENTRY)
    (tmp_path / "other.toml").write_text(other)
    faults = catalog.find_faults(sorted(tmp_path.glob("*.toml")))[1]
    assert [str(fault) for fault in faults] == [
        "other.toml:4 aliases: the name entry already leads to entry; allowed: a name of its own"
    ]


def test_the_whole_catalogue_has_no_fault() -> None:
    found, faults = catalog.find_faults()
    assert [str(fault) for fault in faults] == []
    assert len(found.services) >= 54


def test_catalogue_files_follow_the_published_schema() -> None:
    published = json.loads((DOCS / "schema" / "service.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(published)
    validator = jsonschema.Draft202012Validator(published)
    for path in catalog.service_files():
        assert [error.message for error in validator.iter_errors(tomllib.loads(path.read_text()))] == []
    assert not validator.is_valid(tomllib.loads(ENTRY.replace("points = 12", "points = 13")))


def test_published_schema_and_tables_are_fresh() -> None:
    """Renew with: make fix."""
    page = (DOCS / "catalogue.md").read_text()
    assert json.loads((DOCS / "schema" / "service.schema.json").read_text()) == json.loads(json.dumps(catalog.json_schema()))
    assert describe.fill_blocks(page) == page
    assert page.count("<!-- generated:") == len(describe.generated_blocks())


def test_find_line_in_nested_arrays() -> None:
    text = "a = 1\n[[b]]\n[[b.c]]\nx = 1\n[[b.c]]\nx = 2\n[[b]]\n[[b.c]]\nx = 3\n"
    places: list[tuple[schema.Path, int]] = [
        (("a",), 1),
        (("b", 0, "c", 1, "x"), 6),
        (("b", 1, "c", 0, "x"), 9),
        (("b", 1, "y"), 7),
        (("z",), 1),
    ]
    assert [find_line(text, path) for path, _ in places] == [line for _, line in places]


def test_held_back_rows_have_reason_and_source() -> None:
    rows: list[dict[str, Any]] = tomllib.loads(HELD_BACK.read_text())["held_back"]
    faults: list[schema.Fault] = []
    records = [schema.read(HeldBackRow, row, ("held_back", number), faults) for number, row in enumerate(rows)]
    assert faults == []
    known = catalog.load_catalog().sources
    assert {record.source for record in records} <= {*known, consistency.OWN_SOURCE}
    assert {use.source for use in observed_uses().values()} <= set(known)


@pytest.mark.parametrize(
    ("port", "transport", "kind"),
    [(515, "tcp", "print"), (9100, "tcp", "print"), (9107, "tcp", "print"), (9108, "tcp", None), (9112, "tcp", "print"), (102, "tcp", "plc"),
     (502, "tcp", "plc"), (1090, "udp", "plc"), (47808, "udp", "building"), (2001, "tcp", "serial"), (4032, "tcp", "serial"), (10001, "tcp", "serial"),
     (34964, "udp", "plc"), (55003, "tcp", "plc"), (110, "tcp", None), (9100, "udp", None)],
)  # fmt: skip
def test_held_back(port: int, transport: str, kind: str | None) -> None:
    found = held_back(port, transport)
    assert (found.kind if found else None) == kind
