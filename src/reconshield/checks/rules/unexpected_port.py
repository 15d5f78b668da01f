"""Does a protocol speak on a port that belongs to another one? Not wrong in itself, but rules by port number miss it."""

from __future__ import annotations

from reconshield.checks.check import Check, Context, Judgement
from reconshield.knowledge.ports import usual_service
from reconshield.model import Confidence, Service, Severity

OWN_PORTS = frozenset(
    {
        *(
            "dns",
            "ftp",
            "http",
            "imap",
            "kerberos",
            "ldap",
            "modbus",
            "mongodb",
            "mqtt",
            "msrpc",
            "mssql",
            "mysql",
            "nfs",
            "ntp",
        ),
        *("oracle-tns", "pop3", "postgresql", "rdp", "redis", "rsync", "rtsp", "s7", "sip", "smb", "smtp", "snmp", "ssh"),
        *("telnet", "tftp", "vnc", "x11", "amqp", "memcached", "cassandra", "bacnet", "iec-104", "dnp3", "opc-ua", "ipmi"),
    }
)
"""Protocols whose ports everybody takes for theirs, and filters and watches as such."""
KIN = (
    {"smtp", "lmtp", "qmtp"},
    {"ldap", "cldap"},
    {"http", "quic"},
    {"dns", "mdns"},
    {"redis", "valkey"},
    {"smb", "netbios-ssn", "netbios-ns"},
)
"""Services that share a port by design."""


def _judge(service: Service, context: Context) -> Judgement | None:
    del context
    usual = usual_service(service.endpoint.port, service.endpoint.transport)
    if usual not in OWN_PORTS or usual == service.service or any({usual, service.service} <= kin for kin in KIN):
        return None
    if usual == "http" and "application" in service.facts:  # an API or a console over HTTP
        return None
    place = f"{service.endpoint.port}/{service.endpoint.transport}"
    return Judgement(f"{service.service} answered on {place}, where {usual} is expected", {"usual_service": usual})


CHECKS = (
    Check(
        id="{service}-unexpected-port",
        title="Speaks on the port of another protocol",
        severity=Severity.INFO,
        applies=lambda service: service.confidence is Confidence.CONFIRMED and service.service != "unknown",
        judge=_judge,
        remedy="move it to its own port, or declare it in the policy; filter by service, not by port number alone",
        refuted="the service that the port is known for answers there",
        attack=("T1571",),
    ),
)
