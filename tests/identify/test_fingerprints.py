"""A user's own fingerprints: what is read, what is rejected and why, what they add, and that they never run long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from reconshield.errors import UserError
from reconshield.identify.fingerprints import alike, compile_all, cpe_of, widen
from reconshield.identify.recog import Fingerprint, Rejected, judge_structure, read_recog, weigh
from reconshield.jobs.fingerprints import import_file, load_all
from reconshield.model import Confidence, Endpoint, Service

FILE = Path(__file__).parent / "fingerprints" / "http_servers.xml"


def service(**given: object) -> Service:
    made: dict[str, object] = {"service": "http", "facts": {"headers": {}, "server": "Examplix/4.2.1 (Unix)"}} | given
    return Service(Endpoint("192.0.2.5", 80), confidence=Confidence.CONFIRMED, at=0.0, **made)  # type: ignore[arg-type]  # a table of fields


def test_file_is_read_row_by_row() -> None:
    rows = list(read_recog(FILE.read_bytes()))
    kept = [row for row in rows if isinstance(row, Fingerprint)]
    assert [(row.product, row.version_group) for row in kept] == [("Example Examplix", 1), ("TinyThing", 0)]
    rejected = {row.description: row.reason for row in rows if isinstance(row, Rejected)}
    assert rejected["a pattern that takes for ever"] == "a repeat inside another"
    assert rejected["alternatives that take for ever"] == "alternatives inside a repeat"
    assert "too long" in rejected["a pattern that takes long"]
    assert "Possible nested set" in rejected["a class that Python reads differently"]
    assert "cannot read" in rejected["no pattern"]
    assert rejected["no product"] == "it names no product"


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"^nginx/(\d+(?:\.\d+)*)$", None),
        (r"^Apache(?:/([\d.]+))?(?: \(([^)]+)\))?", None),
        (r"^x(?:, y)?{2,3}", None),
        (r"^[*+]+\+$", None),
        (r"^(?:[a-z]+\.)+$", "a repeat inside another"),
        (r"^(?:\.\w*)*$", "a repeat inside another"),
        (r"^(?:a*){20}$", "a repeat inside another"),
        (r"^((a|b)+)$", "alternatives inside a repeat"),
        (r"^.*a.*b.*c.*d.*e", "more than 4 unbounded repeats"),
    ],
)
def test_structure_is_judged_without_running_it(pattern: str, why: str | None) -> None:
    assert judge_structure(pattern) == why


@pytest.mark.parametrize("pattern", [r"^(a+)+$", r"^(?:a|a)*b", r"(x+x+)+y", r"^(?:(?:a?){30})a{30}$", r"(?:.a){1,50}.*.*.*c"])
def test_weighing_ends_soon_whatever_it_weighs(pattern: str) -> None:
    started = time.process_time()
    weigh(pattern, 0, ["a" * 40])
    assert time.process_time() - started < 2


def test_service_gets_what_it_lacks_and_says_by_what() -> None:
    prints = compile_all(row for row in read_recog(FILE.read_bytes()) if isinstance(row, Fingerprint))
    found = widen(service(), prints)
    assert (found.product, found.version) == ("Example Examplix", "4.2.1")
    assert found.cpe == ("cpe:2.3:a:example:examplix:4.2.1:*:*:*:*:*:*:*",)
    assert found.others == ("recog: Examplix web server",)
    same = widen(service(product="Examplix"), prints)
    assert (same.product, same.version) == ("Examplix", "4.2.1")
    for other in (
        service(product="nginx"),  # ours told another: never overruled
        service(product="Examplix", version="4"),
        service(facts={"headers": {}, "server": "something else"}),
        service(service="smtp", facts={"greeting": "220 Examplix/4.2.1"}),
    ):
        assert widen(other, prints) is other


@pytest.mark.parametrize(
    ("name", "fact", "text", "kind"),
    [
        ("ssh", "greeting", "SSH-2.0-Wonder_9.1", "ssh.banner"),
        ("ftp", "greeting", "220 Wonder_9.1", "ftp.banner"),
        ("pop3", "greeting", "+OK Wonder_9.1", "pop3.banner"),
        ("imap", "greeting", "* OK Wonder_9.1", "imap4.banner"),
        ("snmp", "description", "Wonder_9.1", "snmp.sys_description"),
    ],
)
def test_greetings_are_seen_without_their_form(name: str, fact: str, text: str, kind: str) -> None:
    prints = compile_all([Fingerprint(kind, r"^Wonder_(\d\.\d)$", 0, "Wonder", "Wonder", "", 1)])
    assert widen(service(service=name, facts={fact: text}), prints).version == "9.1"


def test_long_text_is_cut_before_it_is_looked_at() -> None:
    prints = compile_all([Fingerprint("ssh.banner", "end$", 0, "end", "End")])
    assert widen(service(service="ssh", facts={"greeting": "x" * 600 + "end"}), prints).product is None


def test_names_of_products_are_compared_by_their_own_words() -> None:
    assert alike("Postfix smtpd", "Postfix")
    assert not alike("Apache httpd", "Apache Tomcat")
    assert cpe_of(Fingerprint("", "", 0, "", "", cpe="cpe:/a:x:y:{service.version}"), None) == (
        "cpe:2.3:a:x:y:*:*:*:*:*:*:*:*",
    )
    assert cpe_of(Fingerprint("", "", 0, "", "", cpe="nonsense"), "1") == ()


def test_import_keeps_and_loads(tmp_path: Path) -> None:
    assert load_all(tmp_path) is None
    done = import_file(tmp_path, FILE)
    assert done.kept == 2
    assert sum(done.rejected.values()) == 6
    prints = load_all(tmp_path)
    assert prints is not None
    assert widen(service(), prints).version == "4.2.1"
    done.path.write_text("[{}]")
    with pytest.raises(UserError, match="cannot be read"):
        load_all(tmp_path)


BOMB = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><fingerprints>&b;</fingerprints>'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no xml", "no recog file"),
        (b"<html/>", "first element is <html>"),
        (BOMB, "no recog file"),
        (b"<fingerprints matches='ssh.banner'/>", "holds no fingerprint"),
        (b"<fingerprints matches='x509.subject'><fingerprint pattern='a'/></fingerprints>", "x509.subject is not looked at"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "f.xml"
    file.write_bytes(content)
    with pytest.raises(UserError, match=words):
        import_file(tmp_path, file)
    with pytest.raises(UserError, match="cannot be read"):
        import_file(tmp_path, tmp_path / "missing.xml")
