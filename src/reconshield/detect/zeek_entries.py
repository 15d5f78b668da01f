"""An entry of one of Zeek's logs besides conn.log, from TSV or JSON: names that clients asked for, services that answered.

They make no flows: the connections that they speak of are in conn.log, with the protocol that was spoken, and would count
twice. Source: Zeek documentation, ssl.log, quic.log, dns.log, http.log and known_services.log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from reconshield.detect.builder import WRONG, read_address, whole
from reconshield.detect.flows import LATEST, Bad, Item, Listening, Naming
from reconshield.detect.objects import Object, read_moment
from reconshield.detect.zeek import service_name

UNSET = ("-", "(empty)", "")
SHA256_DIGITS = 64
LONGEST_VALUE = 1024
CONN, SERVICES = "conn", "known_services"
TRANSPORTS = ("tcp", "udp", "sctp")

SIGNS: Mapping[str, tuple[frozenset[str], ...]] = {
    CONN: (frozenset({"id.orig_h", "conn_state"}),),
    "dns": (frozenset({"id.orig_h", "query"}), frozenset({"id.orig_h", "rejected", "AA"})),
    "ssl": (frozenset({"id.orig_h", "server_name"}), frozenset({"id.orig_h", "established", "resumed"})),
    "http": (frozenset({"id.orig_h", "host", "uri"}), frozenset({"id.orig_h", "trans_depth", "request_body_len"})),
    SERVICES: (frozenset({"host", "port_num", "port_proto"}),),
}
"""Columns by which a log is known that does not say its name; JSON leaves out what is unset, so there are several sets."""

KINDS = frozenset({*SIGNS, "quic"})

FIELDS: Mapping[str, str] = {"query": "domain", "server_name": "domain", "ja3": "ja3", "ja4": "ja4", "user_agent": "user-agent"}
"""Column -> what indicators compare it with."""


def kind_of(columns: Collection[str]) -> str:
    """The log that has these columns, empty where none that is read has them."""
    names = frozenset(columns)
    return next((kind for kind, sets in SIGNS.items() if any(found <= names for found in sets)), "")


def read_entry(where: str, entry: Object, kind: str) -> Iterator[Item]:
    """What an entry of a log (any of `KINDS` but conn) tells, or what it lacks. `where` is its place."""
    at = read_moment(entry.get("ts"))
    if not 0 <= at < LATEST:
        yield Bad(where, "ts is none")
    elif kind == SERVICES:
        yield read_service(where, entry, at)
    else:
        yield from read_names(where, entry, at)


def read_service(where: str, entry: Object, at: float) -> Item:
    ip, port, transport = entry.get("host"), whole(entry.get("port_num")), entry.get("port_proto")
    if read_address(ip) == WRONG:
        return Bad(where, "host is none")
    if not 0 <= port <= 65_535:
        return Bad(where, "port_num is none")
    if transport not in TRANSPORTS:
        return Bad(where, "port_proto is none")
    return Listening(str(ip), port, str(transport), None, app=service_name(",".join(texts(entry.get("service")))), at=at)


def read_names(where: str, entry: Object, at: float) -> Iterator[Item]:
    src, dst, port = entry.get("id.orig_h"), entry.get("id.resp_h"), whole(entry.get("id.resp_p"))
    for name, value in (("id.orig_h", src), ("id.resp_h", dst)):
        if read_address(value) == WRONG:
            yield Bad(where, f"{name} is none")
            return
    if not 0 <= port <= 65_535:
        yield Bad(where, "id.resp_p is none")
        return
    for kind, value in named(entry):
        yield Naming(at, str(src), str(dst), port, kind, value[:LONGEST_VALUE])


def named(entry: Object) -> Iterator[tuple[str, str]]:
    for field, kind in FIELDS.items():
        value = entry.get(field)
        if isinstance(value, str) and value not in UNSET:
            yield kind, value
    host, uri = entry.get("host"), entry.get("uri")
    if isinstance(host, str) and host not in UNSET:
        yield "domain", host_alone(host)
        if isinstance(uri, str) and uri.startswith("/"):
            yield "url", f"http://{host}{uri}"
    if isinstance(uri, str) and uri.startswith(("http://", "https://")):  # what a client asks of a proxy
        yield "url", uri
    chain = texts(entry.get("cert_chain_fps"))
    if chain and len(chain[0]) == SHA256_DIGITS:
        yield "certificate", chain[0]


def host_alone(text: str) -> str:
    """A Host header without its port."""
    name, colon, port = text.rpartition(":")
    return name if colon and port.isdecimal() and ":" not in name else text


def texts(value: Any) -> list[str]:
    """A set or vector: a list in JSON, a text with commas in TSV."""
    if isinstance(value, str):
        return [part for part in value.split(",") if part not in UNSET]
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []
