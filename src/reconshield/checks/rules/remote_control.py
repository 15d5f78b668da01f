"""Does something answer here that only managers, its own kind or the local network should reach?

Judged only when the protocol itself was confirmed, whatever login it wants. CISA's BOD 23-02 says why interfaces of management
must not face an untrusted network.
"""

from __future__ import annotations

from collections.abc import Callable

from reconshield.checks.check import Check, Context, Judgement, speaks
from reconshield.model import Confidence, Service, Severity

MEDIUM, HIGH, LOW = Severity.MEDIUM, Severity.HIGH, Severity.LOW
INSIDE = "allow it from a management network or a VPN only, in IPv4 and IPv6"
LOCAL = "keep it on the local network: drop its port at the border and on guest and server networks"
PLANT = "no route from offices or outside: a gateway or a jump host in front, and read-only where the device can"

NAMES: dict[str, tuple[str, Severity, str]] = {
    "telnet": ("Telnet", MEDIUM, INSIDE),
    "rdp": ("Remote Desktop", MEDIUM, INSIDE),
    "vnc": ("VNC", MEDIUM, INSIDE),
    "winrm": ("Windows Remote Management", MEDIUM, INSIDE),
    "x11": ("X11", MEDIUM, INSIDE),
    "xdmcp": ("XDMCP", MEDIUM, INSIDE),
    "spice": ("SPICE", MEDIUM, INSIDE),
    "rlogin": ("rlogin", MEDIUM, INSIDE),
    "rsh": ("rsh", MEDIUM, INSIDE),
    "rexec": ("rexec", MEDIUM, INSIDE),
    "adb": ("Android debugging", MEDIUM, INSIDE),
    "smart-install": ("Cisco Smart Install", MEDIUM, INSIDE),
    "ipmi": ("IPMI", MEDIUM, INSIDE),
    # control planes of containers and clusters
    "docker": ("The Docker API", MEDIUM, INSIDE),
    "kubernetes": ("The Kubernetes API", MEDIUM, INSIDE),
    "kubelet": ("The kubelet API", MEDIUM, INSIDE),
    "etcd": ("etcd", MEDIUM, INSIDE),
    "consul": ("Consul", MEDIUM, INSIDE),
    "vault": ("Vault", LOW, INSIDE),
    "nomad": ("Nomad", MEDIUM, INSIDE),
    "erlang-distribution": ("The Erlang distribution", MEDIUM, INSIDE),
    # what a debugger, an application server or a network core says to its own kind only
    "jmx-rmi": ("JMX over RMI", MEDIUM, INSIDE),
    "ajp": ("AJP", MEDIUM, 'Tomcat: `address="127.0.0.1"` and `secretRequired="true"` on the connector, or remove it'),
    "bgp": ("BGP", LOW, "accept BGP from the addresses of neighbours only, with GTSM (RFC 5082)"),
    "nat-pmp": ("NAT-PMP", MEDIUM, "answer it inside only; turn it off on the outer side of the router"),
    "msrpc": ("The RPC endpoint mapper", LOW, INSIDE),
    "nfs": ("NFS", LOW, INSIDE),
    "iscsi": ("iSCSI", LOW, "serve storage on a network of its own"),
    "nbd": ("A network block device", MEDIUM, "serve storage on a network of its own"),
    "ndmp": ("NDMP", MEDIUM, "serve backup on a network of its own"),
    # what is meant for the local link
    "mdns": ("mDNS", LOW, LOCAL),
    "ssdp": ("SSDP", LOW, LOCAL),
    "ws-discovery": ("WS-Discovery", LOW, LOCAL),
    "slp": ("SLP", LOW, LOCAL),
    "netbios-ns": ("The NetBIOS name service", LOW, LOCAL),
    "cldap": ("CLDAP", LOW, LOCAL),
    "mssql-browser": ("The SQL Server browser", LOW, LOCAL),
    # plant
    "modbus": ("Modbus", HIGH, PLANT),
    "s7": ("S7comm", HIGH, PLANT),
}
"""What is exposed, how bad that is by itself, and what to do. In the words that people search for."""


def _applies(name: str) -> Callable[[Service], bool]:
    return lambda service: speaks(service, name) and service.confidence is Confidence.CONFIRMED


def _judge(title: str) -> Callable[[Service, Context], Judgement]:
    def judge(service: Service, context: Context) -> Judgement:
        del context
        product = f" ({service.product})" if service.product else ""
        return Judgement(f"{title}{product} answered in its own protocol", {"service": service.service})

    return judge


CHECKS = tuple(
    Check(
        id=f"{name}-exposed",
        title=f"{title} can be reached from here",
        severity=severity,
        applies=_applies(name),
        judge=_judge(title),
        remedy=remedy,
        refuted="the endpoint does not answer from this vantage",
        attack=("T1133",),
        references=("cisa-bod-23-02",),
    )
    for name, (title, severity, remedy) in NAMES.items()
)
