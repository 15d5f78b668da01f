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

SS = """\
Netid State      Recv-Q Send-Q    Local Address:Port       Peer Address:Port Process
nl    UNCONN     0      0                  rtnl:kernel                 *
u_str ESTAB      0      0                     * 23451                 * 23452 users:(("dbus",pid=5,fd=1))
udp   UNCONN     0      0         127.0.0.53%lo:53              0.0.0.0:*     users:(("systemd-resolve",pid=601,fd=13))
udp   UNCONN     0      0      [fe80::1]%eth0:546                 [::]:*
udp   ESTAB      0      0        10.0.0.9%eth0:68             10.0.0.1:67
tcp   ESTAB      0      36             10.0.0.9:22            10.0.0.5:50000  users:(("sshd",pid=9,fd=4)) timer:(on,200ms,0)
\t cubic wscale:7,7 rto:204
tcp   LISTEN     0      128             0.0.0.0:22             0.0.0.0:*     users:(("sshd: a b",pid=812,fd=3),("x",pid=1,fd=2))
tcp   LISTEN     0      511                   *:80                   *:*     users:(("nginx",pid=900,fd=6))
tcp   LISTEN     0      511                   *:80                   *:*     users:(("nginx",pid=901,fd=6))
tcp   ESTAB      0      0              10.0.0.9:51000     203.0.113.7:443
tcp   TIME-WAIT  0      0              10.0.0.9:51001     203.0.113.7:52000
tcp   SYN-SENT   0      1       [2001:db8::9]:51002   [2001:db8::7]:25
tcp   ESTAB      0      0    [::ffff:10.0.0.9]:80  [::ffff:10.0.0.6]:40000
"""
PROC = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0900000A:0016 0500000A:C350 01 00000000:00000000 02:000AF2D4 00000000     0        0 1234 4 0 20 4 29 10 -1
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1615 1 0 100 0 0 10 0
   2: 0900000A:C738 077100CB:01BB 01 00000000:00000000 02:000AF2D4 00000000     0        0 1235 4 0 20 4 29 10 -1
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt
   0: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000
   1: 0000000000000000FFFF00000900000A:0016 0000000000000000FFFF00000600000A:9C40 01 00000000:00000000 00:00000000 00000000
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  50: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 1700 2 0000000000000000 0
"""
NETSTAT = """\
Active Internet connections (servers and established)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN      812/sshd: /usr/sbin
tcp        0     36 10.0.0.9:22             10.0.0.5:50000          ESTABLISHED 9/sshd: root@pts/0
tcp6       0      0 ::1:631                 :::*                    LISTEN      -
tcp6       0      0 10.0.0.9:51000          203.0.113.7:443         ESTABLISHED 77/curl
udp        0      0 127.0.0.53:53           0.0.0.0:*                           601/systemd-resolve
Active UNIX domain sockets (servers and established)
Proto RefCnt Flags       Type       State         I-Node   Path
unix  3      [ ]         STREAM     CONNECTED     1611
"""
NETSTAT_BSD = """\
Active Internet connections (including servers)
Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)
tcp4       0      0  10.0.0.9.51000         203.0.113.7.443        ESTABLISHED
tcp4       0      0  *.22                   *.*                    LISTEN
tcp6       0      0  ::1.631                *.*                    LISTEN
udp4       0      0  127.0.0.53.53          *.*
"""
NETSTAT_WINDOWS = """\

Aktive Verbindungen

  Proto  Lokale Adresse         Remoteadresse          Status           PID
  TCP    0.0.0.0:22             0.0.0.0:0              ABHÖREN          812
  RpcSs
 [svchost.exe]
  TCP    10.0.0.9:22            10.0.0.5:50000         HERGESTELLT      9
  TCP    10.0.0.9:51000         203.0.113.7:443        ESTABLISHED      77
  TCP    [::1]:631              [::]:0                 ABHÖREN          4
  UDP    127.0.0.53:53          *:*                                     601
"""
LSOF = """\
COMMAND     PID   USER   FD   TYPE             DEVICE SIZE/OFF NODE NAME
systemd-r   601    sys   13u  IPv4              17000      0t0  UDP 127.0.0.53:53
sshd        812   root    3u  IPv4              16150      0t0  TCP *:22 (LISTEN)
sshd        813   root    3u  IPv4              16150      0t0  TCP *:22 (LISTEN)
my\\x20prog   9   root    4u  IPv4              12340      0t0  TCP 10.0.0.9:22->10.0.0.5:50000 (ESTABLISHED)
cupsd         4   root    7u  IPv6 0x1e3a2b5c6d7e8f90      0t0  TCP [::1]:631 (LISTEN)
curl         77     me    5u  IPv4              12350      0t0  TCP 10.0.0.9:51000->203.0.113.7:443 (ESTABLISHED)
curl         77     me  txt    REG                8,1   260000 1234 /usr/bin/curl
dhcp         78   root    6u  IPv4              12360      0t0  UDP *:*
"""
WHOLE |= {"ss": SS.encode(), "proc-net": PROC.encode(), "netstat": NETSTAT.encode(), "lsof": LSOF.encode()}
