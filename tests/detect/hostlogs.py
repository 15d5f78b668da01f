"""A generator of what hosts and their firewalls write, with known answers."""

from __future__ import annotations

from datetime import UTC, datetime

FIELDS = (
    "date time action protocol src-ip dst-ip src-port dst-port size tcpflags tcpsyn tcpack tcpwin icmptype icmpcode info path"
)


def syslog_stamp(at: float) -> str:
    """The local time of classic syslog: no year, no zone."""
    when = datetime.fromtimestamp(at).astimezone()
    return f"{when:%b} {when.day:2} {when:%H:%M:%S}"


def iso_stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")


def packet(
    src: str, dst: str, dport: int = 22, *, proto: str = "TCP", sport: int = 40_000, flags: str = "SYN", length: int = 60
) -> str:
    """What the kernel writes of a packet, behind the prefix."""
    v6 = ":" in src
    head = (
        f"IN=eth0 OUT= MAC=00:11:22:33:44:55:66:77:88:99:aa:bb:{'86:dd' if v6 else '08:00'} SRC={src} DST={dst} LEN={length} "
    )
    head += "TC=0 HOPLIMIT=64 FLOWLBL=0 " if v6 else "TOS=0x00 PREC=0x00 TTL=49 ID=54321 DF "
    if proto == "TCP":
        return f"{head}PROTO=TCP SPT={sport} DPT={dport} WINDOW=64240 RES=0x00 {flags} URGP=0 "
    if proto == "UDP":
        return f"{head}PROTO=UDP SPT={sport} DPT={dport} LEN={length - 20} "
    return f"{head}PROTO={proto} "


def netfilter(*lines: tuple[float, str, str], stamp: str = "syslog") -> bytes:
    """A syslog file of (time, prefix, packet), between lines of others."""
    made = [f"{syslog_stamp(lines[0][0] if lines else 0)} gate sshd[99]: session opened for user OUT= nobody"]
    for number, (at, prefix, said) in enumerate(lines):
        when = syslog_stamp(at) if stamp == "syslog" else iso_stamp(at)
        made.append(f"{when} gate kernel: [{1000 + number}.123456] {prefix}{said}")
    return "\n".join(made).encode() + b"\n"


def pfirewall(*rows: tuple[float, str], pid: bool = False) -> bytes:
    """A log of the Windows firewall of (time, the columns behind it)."""
    head = f"#Version: 1.5\r\n#Software: Microsoft Windows Firewall\r\n#Time Format: Local\r\n#Fields: {FIELDS}"
    lines = [head + (" pid" if pid else ""), ""]
    lines += [f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S} {row}" for at, row in rows]
    return "\r\n".join(lines).encode() + b"\r\n"


WHOLE = {
    "netfilter": netfilter(*((1_760_000_000 + at, "[UFW BLOCK] ", packet("10.0.0.5", "10.0.0.9", at + 1)) for at in range(20))),
    "windows-firewall": pfirewall(
        *((1_760_000_000 + at, f"DROP TCP 10.0.0.5 10.0.0.9 4000{at % 10} 80 52 S 1 0 64240 - - - RECEIVE") for at in range(20))
    ),
}
"""One whole file for each of these readers."""
