"""nmap's XML (`-oX`, also masscan's), read as it streams by, so that a cut-off file still gives every whole host.

A document type is allowed (nmap writes one), entities are not: expat itself and defusedxml refuse them. nmap lists some ports
one by one and sums up the rest in `extraports`. A host is `Whole` only when the listed and the summed-up ports together are
exactly as many as `scaninfo` says were measured; then what is not listed was silent. Which ports a sum stands for is said by
newer versions (`ports=`) and follows for a single sum; of several nameless sums nothing is claimed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from reconshield.addresses import PortSet, parse_ports
from reconshield.errors import UserError
from reconshield.intake.reading import (
    Bad,
    Chunks,
    Claim,
    Cut,
    Faulty,
    Intake,
    Item,
    Origin,
    Reading,
    Spread,
    Whole,
    read_endpoint,
    read_reason,
    read_state,
    read_time,
)
from reconshield.model import Observation, Reason, State

SURE_ENOUGH = 5
"""nmap's confidence runs from 0 to 10; below this a match is hardly more than the port number."""

LONGEST_TEXT = 256
Ports = dict[str, PortSet]
"""Ports by protocol name."""


@dataclass(slots=True)
class Port:
    """A `port` element."""

    protocol: str
    number: str
    state: str = ""
    reason: str = ""
    ttl: str = ""
    service: dict[str, str] = field(default_factory=dict)
    cpe: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Sum:
    """An `extraports` element: `parts` are (reason, protocol, ports) where the file says them."""

    state: str
    count: int
    parts: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Host:
    """A `host` element."""

    at: float = 0.0
    timed_out: bool = False
    ip: str = ""
    name: str | None = None
    ports: list[Port] = field(default_factory=list)
    sums: list[Sum] = field(default_factory=list)


class Handler(ContentHandler):
    """Gathers one host at a time; what is ready stands in `ready`."""

    def __init__(self) -> None:
        super().__init__()
        self.ready: list[Item] = []
        self.measured: Ports = {}
        self.host: Host | None = None
        self.text: list[str] | None = None
        self.root = ""
        self.origin: Origin | None = None
        self.ended = False

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - the name is SAX's
        """Take what an element says in its attributes."""
        self.root = self.root or name
        values = {str(key): str(value) for key, value in attrs.items()}
        if name == "nmaprun":
            tool, version = values.get("scanner") or "nmap", values.get("version", "")
            self.origin = Origin(tool, version, values.get("args", ""), read_time(values.get("start")))
        elif name == "scaninfo":
            self._measure(values)
        elif name == "host":
            self._say_origin()
            timed_out = values.get("timedout") == "true"
            self.host = Host(read_time(values.get("endtime") or values.get("starttime")), timed_out)
        elif name == "finished":
            self.ended = True
        elif self.host is not None:
            self._fill(self.host, name, values)

    def _measure(self, values: dict[str, str]) -> None:
        protocol = values.get("protocol", "")
        try:
            numbers = parse_ports(values.get("services", "")).ports.tcp
        except UserError:
            return  # masscan writes no services here; then no host is whole
        if protocol in {"tcp", "udp"}:
            made = PortSet(tcp=numbers) if protocol == "tcp" else PortSet(udp=numbers)
            self.measured[protocol] = self.measured.get(protocol, PortSet()) | made

    def _say_origin(self) -> None:
        """Once, before the first host: by then every `scaninfo` was seen."""
        if self.origin is not None:
            ports = self.measured.get("tcp", PortSet()) | self.measured.get("udp", PortSet())
            origin, self.origin = self.origin, None
            self.ready.append(Origin(origin.tool, origin.version, origin.arguments, origin.started, ports or None))

    def _fill(self, host: Host, name: str, values: dict[str, str]) -> None:
        if name == "address" and values.get("addrtype") != "mac":
            host.ip = host.ip or values.get("addr", "")
        elif name == "hostname" and values.get("type") == "user":
            host.name = host.name or values.get("name")
        elif name == "port":
            host.ports.append(Port(values.get("protocol", ""), values.get("portid", "")))
        elif name == "extraports":
            count = values.get("count", "")
            host.sums.append(Sum(values.get("state", ""), int(count) if count.isdecimal() else 0))
        elif name == "extrareasons" and host.sums:
            host.sums[-1].parts.append((values.get("reason", ""), values.get("proto", ""), values.get("ports", "")))
        elif name == "state" and host.ports:
            port = host.ports[-1]
            port.state, port.reason = values.get("state", ""), values.get("reason", "")
            port.ttl = values.get("reason_ttl", "")
        elif name == "service" and host.ports:
            host.ports[-1].service = values
        elif name == "cpe":
            self.text = []

    def characters(self, content: str) -> None:
        if self.text is not None:
            self.text.append(content[:LONGEST_TEXT])

    def endElement(self, name: str) -> None:  # noqa: N802 - the name is SAX's
        """A host that has ended is ready."""
        if name == "cpe" and self.text is not None:
            if self.host is not None and self.host.ports:
                self.host.ports[-1].cpe.append("".join(self.text)[:LONGEST_TEXT])
            self.text = None
        elif name == "host" and self.host is not None:
            self.ready += host_items(self.host, self.measured)
            self.host = None
        elif name == self.root:
            self._say_origin()
            self.ended = True


def read(chunks: Chunks) -> Iterator[Item]:
    """Every whole host, as soon as it has ended."""
    handler = Handler()
    parser = DefusedExpatParser(forbid_dtd=False, forbid_entities=True, forbid_external=True)
    parser.setContentHandler(handler)
    try:
        for chunk in chunks:
            parser.feed(chunk)
            yield from take(handler)
        parser.close()
    except DefusedXmlException:
        yield from take(handler)
        yield Cut("it defines entities, which nmap never does; nothing after them was read")
        return
    except (LookupError, ValueError):  # the parser asks Python for the encoding that the first line names
        if handler.root:
            raise
        yield Cut("it names an encoding that cannot be read; nmap writes UTF-8")
        return
    except Exception as error:
        if type(error).__name__ != "SAXParseException":
            raise
        yield from take(handler)
        yield Cut(f"the file ends or breaks at line {parser.getLineNumber()}")
        return
    yield from take(handler)
    if not handler.ended:
        yield Cut("the file ends before the scan did")


def take(handler: Handler) -> Iterator[Item]:
    ready, handler.ready = handler.ready, []
    yield from ready


def host_items(host: Host, measured: Ports) -> Iterator[Item]:
    """Everything that a host element says."""
    if not host.ports and not host.sums:
        return
    where, listed, faults = f"host {host.ip[:60]}", 0, 0
    for port in host.ports:
        try:
            yield read_port(host, port)
            listed += 1
        except Faulty as fault:
            faults += 1
            yield Bad(f"{where} port {port.number[:10]}/{port.protocol[:10]}", str(fault))
    try:
        ip = read_endpoint(host.ip, 0, "tcp").ip
    except Faulty as fault:
        yield Bad(where, str(fault))
        return
    count = listed + sum(s.count for s in host.sums)
    whole = not (faults or host.timed_out) and 0 < count == sum(ports.count for ports in measured.values())
    spreads = list(place_sums(host, ip, measured, whole))
    yield from spreads
    if whole and not any(isinstance(item, Bad) for item in spreads):
        yield Whole(ip)


def place_sums(host: Host, ip: str, measured: Ports, whole: bool) -> Iterator[Spread | Bad]:
    """The ports that are only counted, where it is clear which they are; silence of a whole host needs no mention."""
    for counted in host.sums:
        try:
            state = read_state(counted.state)
            parts = named_parts(counted) or follow_parts(host, counted, measured)
        except Faulty as fault:
            yield Bad(f"host {ip}", f"{counted.count} ports {fault}")
            continue
        for reason, protocol, ports in parts:
            if not (whole and is_silence(state, reason, protocol)):
                yield Spread(ip, protocol, ports, state, reason, host.at)


Part = tuple[Reason, str, tuple[tuple[int, int], ...]]


def named_parts(counted: Sum) -> list[Part]:
    """The parts of a sum, when it names the ports of all of them; else none."""
    parts = []
    for reason, protocol, ports in counted.parts:
        if protocol not in {"tcp", "udp"} or not ports:
            return []
        parts.append((read_reason(reason), protocol, read_ranges(ports)))
    return parts if sum(b - a + 1 for _, _, ports in parts for a, b in ports) == counted.count else []


def follow_parts(host: Host, counted: Sum, measured: Ports) -> list[Part]:
    """The ports of the only sum of a scan of one protocol: those that are measured and not listed."""
    if len(host.sums) != 1 or len(measured) != 1:
        raise Faulty("are only counted; the file does not say which they are")
    ((protocol, ports),) = measured.items()
    listed = tuple((int(p.number), int(p.number)) for p in host.ports if p.number.isdecimal() and int(p.number) <= 65_535)
    rest = ports - (PortSet(tcp=listed) if protocol == "tcp" else PortSet(udp=listed))
    if rest.count != counted.count:
        raise Faulty("are only counted, and not those that are missing")
    reason = read_reason(counted.parts[0][0]) if len(counted.parts) == 1 else Reason.IMPORTED
    return [(reason, protocol, rest.tcp or rest.udp)]


def read_ranges(text: str) -> tuple[tuple[int, int], ...]:
    try:
        return parse_ports(text).ports.tcp
    except UserError as error:
        raise Faulty("are named by ports that cannot be read") from error


def is_silence(state: State, reason: Reason, protocol: str) -> bool:
    return reason is Reason.NO_RESPONSE and state is (State.FILTERED if protocol == "tcp" else State.OPEN_FILTERED)


def read_port(host: Host, port: Port) -> Reading:
    endpoint = read_endpoint(host.ip, port.number, port.protocol)
    state = read_state(port.state)
    ttl = int(port.ttl) if port.ttl.isdecimal() and 0 < int(port.ttl) < 256 else None
    seen = Observation(endpoint, state, read_reason(port.reason), host.at, ttl, name=host.name)
    return Reading(seen, claim_of(port) if state is State.OPEN and port.service else None)


def claim_of(port: Port) -> Claim:
    """The service by nmap: probed when it asked and is sure enough, else looked up by the number."""
    said = port.service
    conf = said.get("conf", "")
    probed = said.get("method") == "probed" and conf.isdecimal() and int(conf) >= SURE_ENOUGH
    cpe = tuple(name for text in port.cpe if (name := cpe_name(text)))
    return Claim(
        name=said.get("name") or "unknown",
        probed=probed,
        product=said.get("product") if probed else None,
        version=said.get("version") if probed else None,
        cpe=cpe if probed else (),
        tls=said.get("tunnel") == "ssl",
        note=said.get("extrainfo"),
    )


def cpe_name(uri: str) -> str | None:
    """CPE 2.3 from the older URI form (`cpe:/a:vendor:product:version`); None for anything else."""
    match = re.fullmatch(r"cpe:/([aoh])((?::[^:\s]*){1,7})", uri)
    if match is None:
        return None
    parts = [re.sub(r"([^A-Za-z0-9._-])", r"\\\1", part) or "*" for part in match[2][1:].split(":")]
    return ":".join(["cpe:2.3", match[1], *parts, *["*"] * (10 - len(parts))])


def recognises(head: bytes) -> bool:
    """An `nmaprun` element among the first bytes."""
    return b"<nmaprun" in head


INTAKE = Intake("nmap-xml", "nmap", recognises, read)
