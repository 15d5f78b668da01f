"""Syslog by RFC 5424 over UDP (RFC 5426), TCP with octet counting (RFC 6587) or TLS (RFC 5425), with CEF or JSON inside.

Syslog is not acknowledged, over none of the three: `accepted` means that it was handed over. Where that is not enough, use a
webhook.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
from collections.abc import Mapping

from reconshield.alert.channel import PATIENCE, Channel, Field, Order, Outcome, read_port
from reconshield.alert.http import describe, tls_context
from reconshield.alert.message import Message
from reconshield.alert.words import line, subject, utc_stamp
from reconshield.model import Severity
from reconshield.text import cef_line

FACILITIES = {"user": 1, "daemon": 3, "auth": 4, "authpriv": 10, **{f"local{n}": 16 + n for n in range(8)}}
LEVEL = {Severity.CRITICAL: 2, Severity.HIGH: 3, Severity.MEDIUM: 4, Severity.LOW: 5, Severity.INFO: 6}
OVER = 5
"""What is resolved is a notice, whatever it was."""
CEF_SEVERITY = {Severity.CRITICAL: 10, Severity.HIGH: 8, Severity.MEDIUM: 5, Severity.LOW: 3, Severity.INFO: 1}
LARGEST_DATAGRAM = 8000
"""RFC 5426 asks receivers to take 2,048 octets; those in use take 8 KiB."""
ENTERPRISE = 32473
"""The enterprise number that RFC 5612 sets aside for examples: we have none of our own, and a name without one is IANA's."""


def send(order: Order) -> Outcome:
    settings = order.settings
    records = [record(order, message) for message in order.notice.messages]
    place = settings["host"], read_port(settings, f"channel {order.notice.channel}")
    try:
        if settings["transport"] == "udp":
            send_datagrams(place, [one[:LARGEST_DATAGRAM] for one in records])
        else:
            send_stream(place, settings, b"".join(b"%d %b" % (len(one), one) for one in records))
    except OSError as error:
        return Outcome(False, describe(error))
    return Outcome(True, f"{len(records)} handed over")


def send_datagrams(place: tuple[str, int], records: list[bytes]) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(*place, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as sender:
        sender.connect(address)
        for one in records:
            sender.send(one)


def send_stream(place: tuple[str, int], settings: Mapping[str, str], data: bytes) -> None:
    with socket.create_connection(place, PATIENCE) as plain:
        if settings["transport"] == "tcp":
            plain.sendall(data)
            plain.shutdown(socket.SHUT_WR)
            return
        with tls_context(settings.get("ca")).wrap_socket(plain, server_hostname=place[0]) as secret:
            secret.sendall(data)
            with contextlib.suppress(ssl.SSLEOFError):  # rsyslog hangs up at our goodbye without one of its own
                secret.unwrap()


def record(order: Order, message: Message) -> bytes:
    """One record of RFC 5424: priority, version, time, host, program, process, kind, structured data, message."""
    event = message.event
    level = OVER if message.status == "resolved" else LEVEL[event.severity]
    priority = FACILITIES[order.settings["facility"]] * 8 + level
    data = {"key": order.notice.key, "id": message.alert.id, "fingerprint": event.fingerprint, "status": message.status}
    structured = "".join(f' {name}="{quoted(value)}"' for name, value in data.items())
    text = cef(order, message) if order.settings["format"] == "cef" else short_json(order, message)
    head = f"<{priority}>1 {utc_stamp(order.at)} {token(order.source)} reconshield {os.getpid()} {token(event.kind)}"
    return f"{head} [reconshield@{ENTERPRISE}{structured}] ".encode() + b"\xef\xbb\xbf" + text.encode()


def token(text: str) -> str:
    """A header field: printable ASCII without blanks, never empty."""
    return "".join(c for c in text if "!" <= c <= "~")[:48] or "-"


def quoted(text: str) -> str:
    """A parameter value: RFC 5424 section 6.3.3 escapes three characters."""
    return line(text).replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def short_json(order: Order, message: Message) -> str:
    """The message as one flat object, short enough for a datagram."""
    event, alert = message.event, message.alert
    fields = {
        "type": "alert",
        "id": alert.id,
        "key": order.notice.key,
        "workspace": order.notice.workspace,
        "fingerprint": event.fingerprint,
        "status": message.status,
        "change": event.kind,
        "severity": event.severity.value,
        "risk": event.risk.score if event.risk else None,
        "title": subject(message),
        "what": line(event.what),
        "why": line(event.why),
        "do": line(event.do[0]) if event.do else None,
        "ip": event.endpoint.ip if event.endpoint else None,
        "port": event.endpoint.port if event.endpoint else None,
        "transport": event.endpoint.transport if event.endpoint else None,
        "service": event.service,
        "zone": event.zone,
        "asset": event.asset,
        "owner": event.owner,
        "run": event.run,
        "vantage": event.vantage,
        "proof": event.proof,
        "opened": utc_stamp(alert.opened_at),
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None}, separators=(",", ":"))


def cef(order: Order, message: Message) -> str:
    """Common Event Format, version 0: seven fields between bars, then pairs."""
    event, alert = message.event, message.alert
    head = ("ReconShield", "ReconShield", order.version, event.kind, subject(message), str(CEF_SEVERITY[event.severity]))
    pairs: dict[str, object] = {
        "rt": round(event.at * 1000),
        "start": round(alert.opened_at * 1000),
        "externalId": event.fingerprint,
        "act": message.status,
        "src": event.peers[0] if event.peers else None,
        "dst": event.endpoint.ip if event.endpoint else None,
        "dpt": event.endpoint.port if event.endpoint else None,
        "proto": event.endpoint.transport.upper() if event.endpoint else None,
        "app": event.service,
        "dhost": event.asset,
        "dvchost": order.source,
        "cn1": event.risk.score if event.risk else None,
        "cn1Label": "risk" if event.risk else None,
        "cs1": event.zone,
        "cs1Label": "zone" if event.zone else None,
        "cs2": event.run,
        "cs2Label": "run" if event.run else None,
        "cs3": event.proof,
        "cs3Label": "proof" if event.proof else None,
        "cs4": order.notice.key,
        "cs4Label": "key",
        "reason": line(event.why),
        "msg": line(event.what),
    }
    return cef_line(head, {name: line(v) if isinstance(v, str) else v for name, v in pairs.items()})


CHANNEL = Channel(
    "syslog",
    "syslog, RFC 5424 over UDP, TCP or TLS, with CEF or JSON",
    (
        Field("host", "the receiver", required=True),
        Field("port", "its port", "514"),
        Field("transport", "how it is carried", "udp", ("udp", "tcp", "tls")),
        Field("format", "what is inside", "cef", ("cef", "json")),
        Field("facility", "the syslog facility", "local4", tuple(FACILITIES)),
        Field("ca", "a file with the receiver's certificate authority"),
    ),
    send,
)
