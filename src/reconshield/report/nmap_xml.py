"""A run as nmap's XML (the shape of nmap.dtd, version 1.05), for the many programs that read it.

One `host` for each address with an open endpoint; ports that are listed singly stand as `port`, the others of the same state
are counted in `extraports` where the run can tell how many there are. Findings are `script` elements with the id
`reconshield-<check>`. XML 1.0 holds no control characters, so all foreign text passes `text.printable` first.

    RunResult -> hosts -> one element a host -> text
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from reconshield import __version__
from reconshield.model import Confidence, Endpoint, Finding, Observation, Reason, Service, State
from reconshield.report.result import RunHead, RunResult
from reconshield.text import count, printable

XML_VERSION = "1.05"
CONFIDENCE = {Confidence.GUESS: ("table", "3"), Confidence.PROBABLE: ("probed", "8"), Confidence.CONFIRMED: ("probed", "10")}
"""nmap's method and its confidence from 0 to 10."""
SCAN_TYPES = {"raw": "syn", "connect": "connect"}
LINE = 4000
"""At most so many characters of one text."""


def nmap_xml_text(result: RunResult) -> Iterator[str]:
    """The document, one host at a time."""
    head, summary = result.head, result.summary
    start = tostring(_root(head), encoding="unicode").removesuffix(" />")
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n{start}>\n'
    for transport, ports in _port_texts(head.ports).items():
        services = {"protocol": transport, "numservices": str(_number(ports)), "services": ports}
        yield _text(Element("scaninfo", {"type": _scan_type(head, transport), **services}))
    hosts = _hosts(result)
    for ip in sorted(hosts, key=_order):
        yield _text(_host(result, ip, hosts[ip]))
    yield _text(_run_stats(head, summary.seconds, summary.state, up=len(hosts)))
    yield "</nmaprun>\n"


class HostParts:
    """What is known of one address, by endpoint."""

    __slots__ = ("findings", "observations", "services")

    def __init__(self) -> None:
        self.observations: dict[Endpoint, Observation] = {}
        self.services: dict[Endpoint, Service] = {}
        self.findings: dict[Endpoint, list[Finding]] = {}


def _hosts(result: RunResult) -> dict[str, HostParts]:
    """The addresses that have at least one endpoint to list; those only filtered or unreachable are not said to be up."""
    hosts: dict[str, HostParts] = {}
    for seen in result.observations:
        hosts.setdefault(seen.endpoint.ip, HostParts()).observations[seen.endpoint] = seen
    for rated in result.services:
        hosts.setdefault(rated.endpoint.ip, HostParts()).services[rated.endpoint] = rated.service
    for finding in result.findings:
        hosts.setdefault(finding.endpoint.ip, HostParts()).findings.setdefault(finding.endpoint, []).append(finding)
    return {ip: parts for ip, parts in hosts.items() if parts.services or any(map(_answered, parts.observations.values()))}


def _answered(seen: Observation) -> bool:
    return seen.state in {State.OPEN, State.CLOSED}


def _root(head: RunHead) -> Element:
    root = Element("nmaprun")
    arguments = f"reconshield scan {' '.join(head.targets)} -p {head.ports} --seed {head.seed}"
    root.attrib |= {
        "scanner": "reconshield",
        "args": _clean(arguments),
        "start": str(int(head.started)),
        "startstr": _moment(head.started),
        "version": __version__,
        "xmloutputversion": XML_VERSION,
    }
    return root


def _port_texts(ports: str) -> dict[str, str]:
    """`1-1000,U:53,161` -> {"tcp": "1-1000", "udp": "53,161"}. A transport holds until the next one is named."""
    texts: dict[str, list[str]] = {}
    transport = "tcp"
    for part in ports.split(","):
        prefix, colon, rest = part.strip().partition(":")
        if colon:
            transport = {"T": "tcp", "U": "udp"}.get(prefix.upper(), transport)
        if port := rest if colon else prefix:
            texts.setdefault(transport, []).append(port)
    return {name: ",".join(parts) for name, parts in texts.items()}


def _number(ports: str) -> int:
    """How many ports a list like `22,80,1-1024` names, each counted once."""
    named: set[int] = set()
    for part in ports.split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            named.update(range(int(first), int(last or first) + 1))
    return len(named)


def _scan_type(head: RunHead, transport: str) -> str:
    return "udp" if transport == "udp" else SCAN_TYPES.get(head.engine, "connect")


def _host(result: RunResult, ip: str, parts: HostParts) -> Element:
    times = [seen.at for seen in parts.observations.values()] + [service.at for service in parts.services.values()]
    host = Element("host", {"starttime": str(int(min(times))), "endtime": str(int(max(times)))})
    reasons = [seen for seen in parts.observations.values() if _answered(seen)]
    first = min(reasons, key=lambda seen: (seen.state, seen.endpoint), default=None)
    reason, ttl = (first.reason.label, first.ttl or 0) if first else ("user-set", 0)
    SubElement(host, "status", {"state": "up", "reason": reason, "reason_ttl": str(ttl)})
    SubElement(host, "address", {"addr": ip, "addrtype": f"ipv{ip_address(ip).version}"})
    names = SubElement(host, "hostnames")
    for name in sorted(_names(parts)):
        SubElement(names, "hostname", {"name": _clean(name), "type": "user"})
    ports = SubElement(host, "ports")
    listed = sorted(parts.observations.keys() | parts.services.keys(), key=lambda e: (e.transport, e.port))
    _extra_ports(result, ports, len(listed))
    for endpoint in listed:
        _port(ports, endpoint, parts)
    return host


def _names(parts: HostParts) -> set[str]:
    """The names by which the address was asked for; nobody looked up any other."""
    named = [service.name for service in parts.services.values()] + [seen.name for seen in parts.observations.values()]
    return {name for name in named if name}


def _extra_ports(result: RunResult, ports: Element, listed: int) -> None:
    """The ports of a host that are not listed. Their states are known for each host only when one address was measured."""
    head, summary = result.head, result.summary
    if head.addresses != 1:
        return
    shown = {state: sum(o.state is state for o in result.observations) for state in State}
    rest = (
        (State.CLOSED, summary.closed, Reason.CONN_REFUSED if head.engine == "connect" else Reason.RESET),
        (State.FILTERED, summary.filtered, Reason.NO_RESPONSE),
        (State.OPEN_FILTERED, summary.open_filtered, Reason.NO_RESPONSE),
        (State.UNREACHABLE, summary.unreachable, Reason.HOST_UNREACH),
    )
    for state, number, reason in rest:
        left = number - shown[state]
        if left > 0 and listed:
            extra = SubElement(ports, "extraports", {"state": _state(state), "count": str(left)})
            SubElement(extra, "extrareasons", {"reason": reason.label, "count": str(left)})


def _state(state: State) -> str:
    """There is word for unreachable in nmap; it says filtered."""
    return "filtered" if state is State.UNREACHABLE else state.label


def _port(ports: Element, endpoint: Endpoint, parts: HostParts) -> None:
    port = SubElement(ports, "port", {"protocol": endpoint.transport, "portid": str(endpoint.port)})
    seen = parts.observations.get(endpoint)
    state, reason = (_state(seen.state), seen.reason.label) if seen else ("open", _default_reason(endpoint))
    ttl = str(seen.ttl or 0) if seen else "0"
    SubElement(port, "state", {"state": state, "reason": reason, "reason_ttl": ttl})
    if service := parts.services.get(endpoint):
        _service(port, service)
    for finding in parts.findings.get(endpoint, ()):
        SubElement(port, "script", {"id": f"reconshield-{finding.check}", "output": script_output(finding)})


def _default_reason(endpoint: Endpoint) -> str:
    return (Reason.UDP_RESPONSE if endpoint.transport == "udp" else Reason.SYN_ACK).label


def _service(port: Element, service: Service) -> None:
    method, confidence = CONFIDENCE[Confidence.GUESS if service.service == "unknown" else service.confidence]
    facts = {"name": service.service}
    facts |= {name: _clean(text) for name, text in (("product", service.product), ("version", service.version)) if text}
    if service.tls.value == "implicit":
        facts["tunnel"] = "ssl"
    element = SubElement(port, "service", facts | {"method": method, "conf": confidence})
    for cpe in service.cpe:
        SubElement(element, "cpe").text = _clean(cpe_uri(cpe))


def cpe_uri(cpe: str) -> str:
    """CPE 2.2, as nmap writes it: `cpe:2.3:a:redis:redis:7.0.15:*:…` becomes `cpe:/a:redis:redis:7.0.15`."""
    if not cpe.startswith("cpe:2.3:"):
        return cpe
    parts = cpe.removeprefix("cpe:2.3:").replace("\\:", "%3a").split(":")
    while parts and parts[-1] in {"*", "-", ""}:
        parts.pop()
    return "cpe:/" + ":".join("" if part == "*" else part.replace("\\", "") for part in parts)


def script_output(finding: Finding) -> str:
    """A finding as the text of a script: severity, confidence and risk kept apart, what was seen, how to mend."""
    risk = f"{finding.risk.score} {finding.risk.rating}" if finding.risk else "not rated"
    lines = (
        finding.title,
        f"severity {finding.severity.value}, confidence {finding.confidence.value}, risk {risk}",
        f"seen: {finding.evidence.get('seen', 'not said')}",
        f"mend: {finding.remedy}",
        f"finding {finding.id}",
    )
    return "\n  ".join(_clean(line) for line in lines)


def _run_stats(head: RunHead, seconds: float, state: str, *, up: int) -> Element:
    end = head.started + seconds
    stats = Element("runstats")
    done = "success" if state == "complete" else "error"
    summary = f"ReconShield done at {_moment(end)}; {count(head.addresses)} IP addresses in {seconds:.2f} seconds"
    attributes = {
        "time": str(int(end)),
        "timestr": _moment(end),
        "summary": summary,
        "elapsed": f"{seconds:.2f}",
        "exit": done,
    }
    if done == "error":
        attributes["errormsg"] = f"the run is {state}"
    SubElement(stats, "finished", attributes)
    # Of addresses without a listed port it is not known whether they are down, so none is said to be.
    SubElement(stats, "hosts", {"up": str(up), "down": "0", "total": str(head.addresses)})
    return stats


def _clean(text: str) -> str:
    """Text that XML 1.0 can hold: control characters, surrogates and non-characters as visible escapes."""
    return printable(text, LINE)


def _moment(at: float) -> str:
    """As nmap spells it, C locale: `Mon Nov 23 09:46:12 2026`. In UTC, as all data here."""
    return time.asctime(datetime.fromtimestamp(at, UTC).timetuple())


def _order(ip: str) -> tuple[int, int]:
    address = ip_address(ip)
    return address.version, int(address)


def _text(element: Element) -> str:
    indent(element, " ")
    return tostring(element, encoding="unicode") + "\n"
