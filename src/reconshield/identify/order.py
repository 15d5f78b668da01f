"""Which probes, in which order, and how long to listen first. Pure: decided from the port, the transport and what was heard.

The rule: who speaks first is answered by the probe that knows the greeting; a silent endpoint is asked by the probes that its
port suggests, then by the rest in one fixed order, the commonest first. What comes back on a wrong question is heard by
`speech` too, so the probe it names moves to the front: an HTTP request makes memcached and many others say who they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconshield.identify.probe import Probe
from reconshield.knowledge.speech import recognise
from reconshield.model import Endpoint

COMMON = (
    "http",
    "redis",
    "postgresql",
    "rdp",
    "mqtt",
    "socks",
    "dns",
    "ldap",
    "amqp",
    "memcached",
    "mongodb",
    "x11",
    "rtsp",
    "sip",
    "xmpp",
    "mssql",
    "oracle-tns",
    "kafka",
    "cassandra",
    "zookeeper",
    "rpcbind",
    "kerberos",
    "git",
    "epmd",
    "iscsi",
    "finger",
    "smb",
)
"""Services that wait to be asked, by how often they answer on ports that are not theirs (our estimate). Others follow.
Redis comes early because it hangs up on an HTTP request without a word. A server that hangs up on everything is asked the first
seven of these and TLS; then its budget is spent."""

PATIENT = ("redis", "dns", "oracle-tns", "kafka", "cassandra", "mongodb")
"""Services that may neither answer a text nor hang up: most read its start as the length of a message and wait for the rest."""

COMMON_UDP = (
    "dns",
    "snmp",
    "ntp",
    "sip",
    "stun",
    "ike",
    "openvpn",
    "rpcbind",
    "kerberos",
    "coap",
    "tftp",
    "memcached",
    "netbios-ns",
    "mdns",
    "ssdp",
)

TLS_PORTS = frozenset(
    {443, 448, 465, 563, 614, 636, 832, 853, 989, 990, 992, 993, 994, 995, 1443, 2083, 2087, 2096, 2376, 2484, 3269, 3424, 4443}
    | {
        4843,
        5061,
        5223,
        5349,
        5671,
        5986,
        6443,
        6514,
        6619,
        6697,
        7443,
        8243,
        8443,
        8883,
        8888,
        9091,
        9443,
        10250,
        10443,
        20243,
    }
)
"""Ports where TLS from the first byte is the rule (IANA names ending in "s", and common use)."""


def candidates(port: int, transport: str, greeting: bytes, tls: bool, probes: Iterable[Probe]) -> tuple[Probe, ...]:
    """The probes worth trying, best first.

    After a greeting: those that `speech` names, then those of the port, then all that expect a greeting (looking at one costs
    nothing). In silence: those of the port, then `COMMON`, then the rest; a probe that waits for a greeting is of no use.
    """
    fitting = [probe for probe in probes if probe.transport == transport]
    if greeting:
        named = recognise(greeting)
        fitting = [p for p in fitting if p.speaks_first or p.name in named]
        return tuple(sorted(fitting, key=lambda p: (place(p.name, named), port not in p.ports)))
    silent = [probe for probe in fitting if not probe.speaks_first]
    common = COMMON_UDP if transport == "udp" else COMMON
    # Inside TLS, HTTP is so much the commonest that only a service of the port comes before it.
    return tuple(sorted(silent, key=lambda p: (port not in p.ports, tls and p.name != "http", place(p.name, common))))


def place(name: str, names: Sequence[str]) -> int:
    return names.index(name) if name in names else len(names)


def promote(waiting: Sequence[Probe], names: Sequence[str], everything: Iterable[Probe] = ()) -> list[Probe]:
    """Move the probes that an answer named to the front, also ones that were not among those waiting."""
    named = [probe for probe in [*waiting, *everything] if probe.name in names]
    unique = list(dict.fromkeys(sorted(named, key=lambda probe: place(probe.name, names))))
    return unique + [probe for probe in waiting if probe not in unique]


def after_silence(waiting: Sequence[Probe]) -> list[Probe]:
    """A text was sent, and the server neither answered nor hung up: those that would do so come first."""
    return sorted(waiting, key=lambda probe: place(probe.name, PATIENT))


def for_machines(endpoint: Endpoint, probes: Iterable[Probe]) -> tuple[Probe, ...]:
    """The read-only probes of industrial protocols whose port this is."""
    return tuple(p for p in probes if p.touches_ot and p.transport == endpoint.transport and endpoint.port in p.ports)


def tls_first(port: int) -> bool:
    """Whether to begin with TLS; elsewhere it is tried when the first plain question was not understood."""
    return port in TLS_PORTS


def greets(port: int, probes: Iterable[Probe]) -> bool:
    """Whether the usual service of the port speaks first."""
    return any(probe.speaks_first and port in probe.ports for probe in probes)


def listen_seconds(port: int, tls: bool, rtt: float, probes: Sequence[Probe]) -> float:
    """How long to wait for a greeting before asking: long where one is usual, hardly where questions or TLS are."""
    if greets(port, probes) and (tls or not tls_first(port)):
        return 2.0 + 2 * rtt
    asked = any(port in probe.ports and not probe.speaks_first for probe in probes)
    return (0.05 if asked or tls_first(port) else 0.3) + 2 * rtt
