"""The intents that every platform renders in the tests."""

from __future__ import annotations

import datetime as dt

from reconshield.firewall.intent import Intent, Port, allowed_networks

POP3 = Port("tcp", 110, "pop3")
INTENTS = {
    "restricted": Intent((POP3,), allowed_networks(["10.8.0.0/24", "fd00:8::/64"]), reason="old clients"),
    "closed": Intent((Port("tcp", 23, "telnet"), Port("udp", 161, "snmp")), log=True, expires=dt.date(2027, 6, 30)),
    "public": Intent((Port("tcp", 25, "smtp"),), public=True, reason="MX"),
    "many": Intent(
        (Port("tcp", 80, "http"), Port("tcp", 443, "https"), Port("udp", 443, "quic")),
        allowed_networks(["192.0.2.7", "198.51.100.0/25", "2001:db8:1::/48"]),
        reason='a "quoted" reason; $(with) `tricks`',
    ),
}
