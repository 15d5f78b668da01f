"""LDAP (RFC 4511): the root DSE, which servers show to everybody, then StartTLS. No bind below level 4.

The root DSE names the directory's suffixes, its extensions and its ways to log in; some servers name themselves in it.
At level 4 one anonymous bind is tried, and whether it can read the first suffix.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconshield.identify import ber
from reconshield.identify.probe import Ask, Dialogue, Match, Probe, StartTls, Tell, Where, name_cpe

BIND, UNBIND, SEARCH, EXTENDED = 0x60, 0x42, 0x63, 0x77
BIND_ANSWER, ENTRY, DONE, EXTENDED_ANSWER = 0x61, 0x64, 0x65, 0x78
START_TLS = "1.3.6.1.4.1.1466.20037"
ACTIVE_DIRECTORY = "1.2.840.113556.1.4.800"
SUCCESS, CONFIDENTIALITY_REQUIRED = 0, 13
ATTRIBUTES = (
    "objectClass",
    "vendorName",
    "vendorVersion",
    "namingContexts",
    "supportedExtension",
    "supportedSASLMechanisms",
    "supportedLDAPVersion",
    "supportedCapabilities",
    "dnsHostName",
)
UDP_ATTRIBUTES = ("objectClass", "vendorName", "supportedCapabilities", "dnsHostName")
Attributes = Mapping[str, list[str]]


def run() -> Dialogue:
    codes, entries = read_answers((yield Ask(write_search(1, "", ATTRIBUTES), until=_search_ended)))
    if DONE not in codes and not entries:
        return None
    attributes = entries[0] if entries else {}
    facts = _describe(attributes, codes.get(DONE))
    place = yield Where()
    if place.tls:
        mechanisms = facts.pop("mechanisms_clear", None)
        return _match(attributes, facts | ({"mechanisms_tls": mechanisms} if mechanisms is not None else {}))
    facts |= yield from _try_tls(attributes, codes.get(DONE))
    return _match(attributes, facts)


def run_udp() -> Dialogue:
    """LDAP without a connection ([MS-ADTS] §6.3.3), as domain controllers offer it to be found: one search, one answer."""
    question = write_search(1, "", UDP_ATTRIBUTES)
    answer = yield Ask(question)
    codes, entries = read_answers(answer)
    if DONE not in codes and not entries:
        return None
    facts = _describe(entries[0] if entries else {}, codes.get(DONE))
    sizes = {"request_bytes": len(question), "answer_bytes": len(answer)}
    return replace(_match(entries[0] if entries else {}, facts | sizes), service="cldap")


def _try_tls(attributes: Attributes, code: int | None) -> Any:
    """StartTLS where it is listed, or where the server would not even show its list."""
    required = code == CONFIDENTIALITY_REQUIRED
    if attributes and START_TLS not in attributes.get("supportedextension", []):
        return {"starttls": "not offered", "login_clear": "refused" if required else "offered"}
    request = _message(2, ber.write(EXTENDED, ber.write(0x80, START_TLS.encode())))
    codes, _ = read_answers((yield Ask(request, until=ber.ends)))
    if codes.get(EXTENDED_ANSWER) != SUCCESS:
        return {"starttls": "not offered", "login_clear": "unknown"}
    upgraded = yield StartTls()
    facts: dict[str, Any] = {"starttls": "required" if required else "offered"}
    facts["login_clear"] = "refused" if required else "unknown"
    return facts | ({"starttls_failed": True} if upgraded is None else {"starttls_tls": upgraded})


def assess(match: Match) -> Dialogue:
    """An anonymous bind (RFC 4513 §5.1.1), then one look at the first suffix itself, nothing below it."""
    bind = ber.write(BIND, ber.write_integer(3), ber.write(ber.OCTETS), ber.write(0x80))
    codes, _ = read_answers((yield Ask(_message(1, bind), until=ber.ends)))
    if BIND_ANSWER not in codes:
        return match
    facts = dict(match.facts) | {"anonymous": codes[BIND_ANSWER] == SUCCESS}
    if codes[BIND_ANSWER] == CONFIDENTIALITY_REQUIRED and "login_clear" in facts:
        facts |= {"login_clear": "refused", "starttls": "required"}
    elif facts["anonymous"] and facts.get("login_clear") == "unknown":
        facts["bind_clear"] = "accepted"
    suffixes = facts.get("naming_contexts") or []
    if facts["anonymous"] and suffixes:
        _, entries = read_answers((yield Ask(write_search(2, suffixes[0], ("1.1",)), until=_search_ended)))
        facts["anonymous_read"] = bool(entries)
    yield Tell(_message(3, bytes([UNBIND, 0])))
    return replace(match, facts=facts)


def _message(number: int, operation: bytes) -> bytes:
    return ber.write(ber.SEQUENCE, ber.write_integer(number), operation)


def write_search(number: int, base: str, attributes: tuple[str, ...]) -> bytes:
    """A search of one entry (RFC 4511 §4.5.1): base scope, never dereference, 1 entry, 5 seconds, (objectClass=*)."""
    return _message(
        number,
        ber.write(
            SEARCH,
            ber.write(ber.OCTETS, base.encode("latin-1", "replace")),
            ber.write_integer(0, ber.ENUMERATED) * 2,
            ber.write_integer(1) + ber.write_integer(5),
            b"\x01\x01\x00",
            ber.write(0x87, b"objectClass"),
            ber.write(ber.SEQUENCE, *(ber.write(ber.OCTETS, name.encode()) for name in attributes)),
        ),
    )


def read_answers(data: bytes) -> tuple[dict[int, int], list[Attributes]]:
    """The result code of each kind of answer, and the entries with attribute names in lower case."""
    codes: dict[int, int] = {}
    entries: list[Attributes] = []
    for tag, message in ber.read(data):
        parts = ber.read(message)
        if tag != ber.SEQUENCE or len(parts) < 2 or parts[0][0] != ber.INTEGER:
            break
        operation, body = parts[1]
        if operation == ENTRY:
            entries.append(_read_entry(body))
        elif operation in (BIND_ANSWER, DONE, EXTENDED_ANSWER):
            values = ber.read(body)
            if values and values[0][0] == ber.ENUMERATED and len(values[0][1]) == 1:
                codes[operation] = values[0][1][0]
    return codes, entries


def _read_entry(body: bytes) -> Attributes:
    entry: dict[str, list[str]] = {}
    parts = ber.read(body)
    for _, attribute in ber.read(parts[1][1]) if len(parts) > 1 else []:
        name_and_values = ber.read(attribute)
        if len(name_and_values) == 2:
            name = name_and_values[0][1].decode("latin-1").lower()
            entry[name] = [value.decode("utf-8", "replace") for _, value in ber.read(name_and_values[1][1])]
    return entry


def _search_ended(data: bytes) -> bool:
    """A search ends with a message that says so; entries come before it."""
    return ber.ends(data) and DONE in read_answers(data)[0]


def _describe(attributes: Attributes, code: int | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"result": code}
    if "namingcontexts" in attributes:
        facts["naming_contexts"] = attributes["namingcontexts"]
    if attributes:
        facts["mechanisms_clear"] = attributes.get("supportedsaslmechanisms", [])
    if attributes.get("dnshostname"):
        facts["hostname"] = attributes["dnshostname"][0]
    if attributes.get("supportedldapversion"):
        facts["protocol"] = "LDAPv" + max(attributes["supportedldapversion"])
    return facts


def _match(attributes: Attributes, facts: dict[str, Any]) -> Match:
    vendor = " ".join(attributes.get("vendorname", []))
    version = " ".join(attributes.get("vendorversion", []))
    if "OpenLDAProotDSE" in attributes.get("objectclass", []):
        return Match("ldap", "OpenLDAP", facts=facts, cpe=(name_cpe("openldap", "openldap"),))
    if vendor.startswith("Samba Team"):
        return Match("ldap", "Samba AD DC", facts=facts, cpe=(name_cpe("samba", "samba"),))
    stated = re.match(r"389-Directory/(\d[\w.]*)", version)
    if stated:
        return Match("ldap", "389 Directory Server", stated[1], facts)
    if vendor:
        number = re.search(r"\d+(?:\.[\w-]+)+", version)
        product = "ApacheDS" if vendor == "Apache Software Foundation" else vendor
        return Match("ldap", product, number[0] if number else None, facts)
    if ACTIVE_DIRECTORY in attributes.get("supportedcapabilities", []):
        return Match("ldap", "Microsoft Active Directory", facts=facts)
    return Match("ldap", facts=facts)


PROBE = Probe("ldap", ports=(389, 636, 3268, 3269, 1389, 1636, 3890, 10389, 10636), run=run, assess=assess)
UDP = Probe("cldap", ports=(389,), run=run_udp, transport="udp")
