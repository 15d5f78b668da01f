"""Policies to export: one with everything that an entry can say, and any number of random ones."""

from __future__ import annotations

import datetime as dt
import random

from reconshield.jobs.policy import known_names
from reconshield.policy import Policy, read_policy

NOW = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC).timestamp()
WHOLE = """\
version = 1

[[zone]]
name = "mail-dmz"
targets = ["192.0.2.0/26", "2001:db8:1::/64"]
owner = "mail team"
criticality = "high"

[[zone]]
name = "cell-3"  # inside the first
targets = ["192.0.2.16/28", "2001:db8:1::3:0/112"]
secure = true

[[zone]]
name = "office"
targets = ["10.30.0.0/16", "2001:db8:30::/48"]

[[zone]]
name = "guests"
targets = ["10.99.0.0/24"]

[[asset]]
name = "jump"
addresses = ["10.30.0.7", "2001:db8:30::7"]

[[traffic]]
zone = "mail-dmz"
direction = "in"
services = ["smtp"]
ports = "443,1000-1010,U:5000-5010"
with = ["wan"]
reason = "mail from the world\\n; drop | `all` {{ $value }} \\"quoted\\""
owner = "mail team"
expires = 2027-06-30

[[traffic]]
zone = "mail-dmz"
direction = "in"
services = ["ssh"]
with = ["jump", "198.51.100.0/25"]

[[traffic]]
zone = "mail-dmz"
direction = "out"
services = ["dns", "smtp"]

[[traffic]]
zone = "mail-dmz"
direction = "out"
with = ["198.51.100.53"]
reason = "the backup may do anything"

[[traffic]]
zone = "mail-dmz"
direction = "within"
ports = "T:389,U:389"
with = ["192.0.2.8/30"]

[[traffic]]
zone = "cell-3"
direction = "in"
services = ["modbus"]
with = ["office", "guests"]
expires = 2026-12-31

[[traffic]]
zone = "cell-3"
direction = "in"
services = ["telnet"]
with = ["office"]
reason = "until the new controller"
owner = "plant"
expires = 2026-03-31

[[traffic]]
zone = "office"
direction = "within"

[[traffic]]
zone = "office"
direction = "out"
services = ["https", "dns", "ssh"]

[[expect]]
on = ["mail-dmz"]
service = "smtp"
from = ["wan"]
reason = "MX"
owner = "mail team"
expires = 2026-02-01

[[expect]]
on = "office"
service = ["ssh", "http"]
reason = "{{ jump }} hosts"
owner = "IT"
expires = 2026-12-31

[[expect]]
on = ["jump"]
service = "ssh"
reason = "for administrators"
owner = "IT"
expires = 2027-12-31

[[closed]]
on = ["cell-3"]
service = ["telnet", "vnc"]
severity = "critical"

[[closed]]
on = "mail-dmz"
ports = "110,143"
from = ["wan"]
reason = "clear-text mail access is retired"

[[accept]]
finding = "tls-self-signed"
on = ["mail-dmz"]
reason = "internal CA"
owner = "mail team"
expires = 2027-01-31

[[suppress]]
to = "192.0.2.25"
ports = "110"
reason = "test"
owner = "mail team"
expires = 2026-12-31

[[schedule]]
name = "nightly"
targets = ["mail-dmz", "cell-3", "office"]
every = "24h"
fresh = "36h"
"""

POOL = (
    ("10.0.0.0/8",),
    ("10.1.0.0/16", "2001:db8:a::/48"),
    ("10.1.128.0/17",),
    ("10.200.1.1", "2001:db8:a:1::/64"),
    ("172.16.5.0/24", "172.16.9.0-172.16.9.77"),
    ("2001:db8:b::/48",),
)
SERVICES = ("dns", "smtp", "ssh", "kerberos", "http", "ntp", "ldap", "msrpc")
PORTS = ("53,U:53", "1-1024", "U:67-68", "443", "0-65535,U:0-65535", "6000-6063,8080")
ELSEWHERE = ("wan", "198.51.100.0/24", "10.1.0.0/20", "2001:db8:a::/49", "128.0.0.0/1")


def read(text: str) -> Policy:
    policy, problems = read_policy(text, "reconshield.toml", known_names())
    assert policy is not None, [problem.message for problem in problems]
    return policy


def whole() -> Policy:
    return read(WHOLE)


def random_policy(seed: int) -> Policy:
    """A few zones, one inside the other perhaps, and entries of every shape."""
    random_ = random.Random(seed)
    zones = sorted(random_.sample(range(len(POOL)), random_.randint(1, 5)))
    lines = ["version = 1"]
    for zone in zones:
        lines += ["[[zone]]", f'name = "z{zone}"', f"targets = {list(POOL[zone])}"]
        lines += ["secure = true"] if random_.random() < 0.3 else []
    names = [f"z{zone}" for zone in zones]
    for _ in range(random_.randint(1, 8)):
        lines += [
            "[[traffic]]",
            f'zone = "{random_.choice(names)}"',
            f'direction = "{random_.choice(["in", "out", "within"])}"',
        ]
        if random_.random() < 0.7:
            lines.append(f"services = {random_.sample(SERVICES, random_.randint(1, 3))}")
        if random_.random() < 0.4:
            lines.append(f'ports = "{random_.choice(PORTS)}"')
        if random_.random() < 0.7:
            lines.append(f"with = {random_.sample([*names, *ELSEWHERE], random_.randint(1, 2))}")
        if random_.random() < 0.3:
            lines.append(f"expires = {random_.choice(['2026-01-01', '2027-01-01'])}")
    return read("\n".join(lines).replace("'", '"'))
