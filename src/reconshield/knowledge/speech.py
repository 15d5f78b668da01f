"""First bytes -> names of protocols. What a server, or a client, says first often names its language.

`recognise` is a hint, never a verdict: identification uses it to choose which probe asks next, the flow detector to see that a
port is used for something else. Pure; only the first 512 bytes are looked at, and every pattern is anchored at the start with
bounded repeats, so hostile bytes cost no more than friendly ones. Names are service ids.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

LOOKED_AT = 512

Side = Literal["server", "client"]


@dataclass(frozen=True, slots=True)
class Sign:
    """A pattern at the start of the first bytes of one side, and the services it speaks for, the likeliest first."""

    services: tuple[str, ...]
    pattern: re.Pattern[bytes]


def sign(services: str, pattern: bytes) -> Sign:
    return Sign(tuple(services.split()), re.compile(pattern, re.DOTALL | re.IGNORECASE))


SERVER = (
    sign("ssh", rb"SSH-[12]\.\d{1,3}-"),
    sign("vnc", rb"RFB \d{3}\.\d{3}\n"),
    sign("rtsp", rb"RTSP/1\.0 \d{3}"),
    sign("sip", rb"SIP/2\.0 \d{3}"),
    sign("http", rb"HTTP/[0-2](?:\.\d)? [1-5]\d\d|\s{0,8}<(?:!doctype html|html|head|title)"),
    sign("http", rb"\x00\x00[\x00-\x7f]\x04\x00\x00\x00\x00\x00"),  # the settings of HTTP/2
    sign("tls", rb"\x16\x03[\x00-\x04].{2}\x02|\x15\x03[\x00-\x04]\x00\x02[\x01\x02]"),
    sign("smtp", rb"220[ -][^\r\n]{0,300}\b(?:E?SMTP|postfix|exim|sendmail)"),
    sign("lmtp", rb"220[ -][^\r\n]{0,300}\bLMTP"),
    sign("smtp lmtp", rb"220[ -][^\r\n]{0,300}\bDovecot"),  # its submission and its LMTP server greet alike
    sign("ftp", rb"220[ -][^\r\n]{0,300}(?:\bFTP|FTPd?\b|\bFileZilla)"),
    sign("smtp ftp", rb"(?:220|421|5[05]\d)[ -]"),
    sign("varnish-cli", rb"(?:107|200) \d{1,8} *\n"),
    sign("nntp", rb"20[01][ -]"),
    sign("imap", rb"\* (?:OK|PREAUTH|BYE)\b"),
    sign("managesieve", rb"\"(?:IMPLEMENTATION|SIEVE|VERSION)\" "),
    sign("pop3", rb"\+OK\b"),
    sign("nats", rb"INFO \{|-ERR '"),
    sign("redis", rb"\+PONG|-(?:ERR|NOAUTH|DENIED|LOADING|MISCONF|NOPERM|READONLY)\b"),
    sign("pop3", rb"-ERR"),
    sign("memcached", rb"(?:ERROR|CLIENT_ERROR [^\r\n]{1,100})\r\n|VERSION \d"),
    sign("beanstalkd", rb"UNKNOWN_COMMAND\r\n|BAD_FORMAT\r\n"),
    sign("spamd", rb"SPAMD/\d\.\d \d"),
    sign("clamd", rb"UNKNOWN COMMAND[\n\x00]"),
    sign("upsd", rb"ERR UNKNOWN-COMMAND\n"),
    sign("tor-control", rb"514 Authentication required|510 Unrecognized command"),
    sign("ident", rb"[^\r\n]{0,80} : (?:ERROR|USERID) : "),
    sign("cassandra", rb"[\x83-\x86]\x00.{2}\x00\x00\x00"),
    sign("mysql", rb".{3}\x00(?:\x0a[0-9]{1,2}\.|\xff.{2}(?:#|Host |Too many))"),
    sign("postgresql", rb"E\x00\x00.{2}S(?:FATAL|ERROR|FEHLER)"),
    sign("ldap", rb"0(?:[\x00-\x7f]|\x84\x00\x00.{2}|\x81.|\x82.{2})\x02\x01.(?:[\x61\x65\x78])"),
    sign("smb", rb"\x00.{3}[\xff\xfe]SMB|\x83\x00\x00\x01[\x80-\x8f]"),
    sign("rdp", rb"\x03\x00\x00[\x0b-\x20].\xd0"),
    sign("rsync", rb"@RSYNCD: \d"),
    sign("svn", rb"\( (?:success|failure) \( "),
    sign("mpd", rb"OK MPD \d"),
    sign("amqp", rb"AMQP[\x00-\x03]|\x01\x00\x00.{4}\x00\x0a\x00\x0a"),
    sign("mqtt", rb"\x20\x02[\x00\x01][\x00-\x05]$"),
    sign("xmpp", rb"<\?xml [^>]{1,100}>\s{0,4}<stream|<stream:(?:stream|error)"),
    sign("irc", rb":[^\s]{1,100} (?:NOTICE|ERROR|4\d\d|0\d\d) |NOTICE AUTH|ERROR :"),
    sign("zookeeper", rb"\x00\x00\x00.\x00\x00\x00\x00.{4}"),
    sign("telnet", rb"\xff[\xfb-\xfe].|[^\r\n]{0,80}\r?\n?(?:login|username|user name|password) ?: ?$"),
    sign("chargen", rb"[\x20-\x7e]{72}\r\n[\x20-\x7e]{72}\r\n"),
    sign("daytime", rb"(?:\w{3},? \w{3} [ \d]\d |\d{1,2} \w{3} \d{4} )[^\r\n]{8,40}\r?\n$"),
    sign("git", rb"[0-9a-f]{4}ERR "),
    sign("lirc", rb"BEGIN\n"),
    sign("iperf3", rb"[\x09\xff]$"),
    sign("stomp", rb"\s{0,4}(?:ERROR|CONNECTED)\r?\n[a-z-]{1,40}:"),
    sign("mumble", rb"\x00\x00\x00\x00\x00.(?:\x08|\x12|\x28)"),
    sign("socks", rb"\x05[\x00\x01\x02\xff]$"),
    sign("tftp", rb"\x00\x05\x00[\x00-\x08][\x20-\x7e]{1,100}\x00$"),
)

CLIENT = (
    sign("tls", rb"\x16\x03[\x00-\x04].{2}\x01"),
    sign("ssh", rb"SSH-[12]\.\d{1,3}-"),
    sign(
        "http", rb"(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT|PROPFIND) [^\r\n]{1,400} HTTP/1\.|PRI \* HTTP/2\.0"
    ),
    sign("rtsp", rb"(?:OPTIONS|DESCRIBE|SETUP|PLAY) rtsp:"),
    sign("sip", rb"(?:INVITE|REGISTER|OPTIONS|SUBSCRIBE|NOTIFY|BYE|ACK) sips?:"),
    sign("smtp", rb"(?:EHLO|HELO) "),
    sign("imap", rb"[A-Za-z0-9.]{1,20} (?:CAPABILITY|LOGIN|STARTTLS|AUTHENTICATE|ID|NOOP)\b"),
    sign("pop3", rb"(?:CAPA|STLS)\r\n|APOP "),
    sign("ftp pop3", rb"USER "),
    sign("redis", rb"\*\d{1,4}\r\n\$\d{1,6}\r\n|PING\r\n"),
    sign("memcached", rb"(?:version|stats)\r\n|(?:get|gets) \S{1,250}\r\n|\x80[\x00-\x3f]\x00"),
    sign("postgresql", rb"\x00\x00.{2}(?:\x00\x03\x00\x00|\x04\xd2\x16[\x2f\x30])"),
    sign("ldap", rb"0(?:[\x00-\x7f]|\x84\x00\x00.{2}|\x81.|\x82.{2})\x02\x01.(?:[\x60\x63\x77])"),
    sign("smb", rb"\x00.{3}[\xff\xfe]SMB|\x81\x00.{2}\x20"),
    sign("rdp", rb"\x03\x00.{2}.\xe0"),
    sign("mqtt", rb"\x10.{1,4}\x00(?:\x04MQTT|\x06MQIsdp)"),
    sign("amqp", rb"AMQP[\x00-\x03]"),
    sign("xmpp", rb"<\?xml [^>]{1,100}>\s{0,4}<stream|<stream:stream"),
    sign("irc", rb"(?:NICK|CAP LS|CAP REQ)\b"),
    sign("bittorrent", rb"\x13BitTorrent protocol"),
    sign("socks", rb"\x05[\x01-\x08][\x00-\x09]|\x04[\x01\x02].{6}"),
    sign("vnc", rb"RFB \d{3}\.\d{3}\n"),
    sign("git", rb"[0-9a-f]{4}git-(?:upload|receive)-pack "),
)

RECOGNISED = frozenset(name for entry in (*SERVER, *CLIENT) for name in entry.services)
"""Services that at least one side of is known by its first octets."""


def recognise(data: bytes, side: Side = "server") -> tuple[str, ...]:
    """Service ids whose way of speaking `data` begins with, the likeliest first, each once; `tls` for a TLS record."""
    head = data[:LOOKED_AT]
    found: dict[str, None] = {}
    for entry in SERVER if side == "server" else CLIENT:
        if entry.pattern.match(head):
            found.update(dict.fromkeys(entry.services))
    return tuple(found)
