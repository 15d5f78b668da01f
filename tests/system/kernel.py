"""Asking the kernel what it does with packets under a ruleset: many packets a second, each told apart.

A client sends whole frames into a veth pair, with any source address. In the host's namespace a table `tap` stands before and
behind all rules: its first chain notes the id of every packet that arrives, its last chains (input and postrouting, behind all
rules) note the id, final destination and port of every packet that got through, and drop it just before the kernel would
confirm its connection: so nothing answers and nothing is remembered. The id is the IPv4 identification or the IPv6 flow label.
Notes are sets that nft lists at the end.

    with KernelHost() as host:
        host.load_nft(rules)
        passed = host.ask(packets)      # id -> (hook, address, port)
"""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Self

from reconshield.addresses import AddressSet, parse_target
from reconshield.firewall.question import Link, World
from system.netns import Lab, Namespace

OWN = ("10.91.0.2", "10.91.0.3", "fd91::2", "fd91::3")
BEHIND = ("10.92.0.5", "10.92.0.6", "fd92::5", "fd92::6")
"""Addresses of a network behind the host, which passes packets on to it."""
SOURCES = {
    4: ("10.91.0.1", "10.8.0.1", "10.8.0.77", "10.8.1.1", "10.9.0.5", "192.0.2.1", "198.51.100.9"),
    6: ("fd91::1", "fd08::1", "fd08::77", "fd08:0:1::1", "fd09::5", "2001:db8::1", "2001:db8:9::9"),
}
SERVED = (53, 123)
"""UDP ports that answer, so that connections become established."""

TAP = """
table inet tap {
  set sent4 { typeof ip id; flags dynamic; size 65535; }
  set sent6 { typeof ip6 flowlabel; flags dynamic; size 65535; }
  set in4 { typeof ip id . ip daddr . th dport; flags dynamic; size 65535; }
  set in6 { typeof ip6 flowlabel . ip6 daddr . th dport; flags dynamic; size 65535; }
  set on4 { typeof ip id . ip daddr . th dport; flags dynamic; size 65535; }
  set on6 { typeof ip6 flowlabel . ip6 daddr . th dport; flags dynamic; size 65535; }
  chain first {
    type filter hook prerouting priority -2147483648;
    ip id != 0 add @sent4 { ip id };
    ip6 flowlabel != 0 add @sent6 { ip6 flowlabel };
  }
  chain last_in {
    type filter hook input priority 2147483646;
    ip id != 0 add @in4 { ip id . ip daddr . th dport } drop;
    ip6 flowlabel != 0 add @in6 { ip6 flowlabel . ip6 daddr . th dport } drop;
  }
  chain last_on {
    type filter hook postrouting priority 2147483646;
    ip id != 0 iifname "outside" add @on4 { ip id . ip daddr . th dport } drop;
    ip6 flowlabel != 0 iifname "outside" add @on6 { ip6 flowlabel . ip6 daddr . th dport } drop;
  }
}
"""

SETTINGS = (
    *("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0"),
    *("net.ipv4.conf.default.rp_filter=0", "net.netfilter.nf_conntrack_checksum=0", "net.ipv4.icmp_ratelimit=0"),
    *("net.netfilter.nf_conntrack_udp_timeout=3600", "net.netfilter.nf_conntrack_udp_timeout_stream=3600"),
)


EMPTY_TABLES = (
    "*raw\n:PREROUTING ACCEPT\nCOMMIT\n*mangle\n:PREROUTING ACCEPT\n:POSTROUTING ACCEPT\nCOMMIT\n",
    "*nat\n:PREROUTING ACCEPT\nCOMMIT\n*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\nCOMMIT\n",
)


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet. `flags` are those of TCP; for ICMP `port` is type * 256 + code."""

    source: str
    destination: str
    transport: str
    source_port: int
    port: int
    flags: int = 0x02
    established: bool = False

    @property
    def family(self) -> int:
        return 6 if ":" in self.source else 4


@dataclass(frozen=True, slots=True)
class Passed:
    """Where a packet came through: `input` or `postrouting`, and what it was sent to at the end."""

    hook: str
    address: str
    port: int


class KernelHost:
    """A host to ask, for as long as the `with` block lasts."""

    def __init__(self) -> None:
        self.lab = Lab()

    def __enter__(self) -> Self:
        self.lab.__enter__()
        try:
            self._build()
        except BaseException:
            self.lab.__exit__()
            raise
        return self

    def _build(self) -> None:
        self.client, self.host, behind = (self.lab.namespace(name) for name in ("client", "host", "behind"))
        self._wire(self.client, "near", "outside", OWN)
        self._wire(behind, "far", "inside0", ("10.92.0.1", "fd92::1"))
        self.host.run("sysctl", "-qw", *SETTINGS)
        self._find_neighbours()
        self.load_nft("")
        self.wire = self.client.inside(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
        self.wire.bind(("near", 0))
        self.established = self._establish()

    def _wire(self, other: Namespace, there: str, here: str, addresses: Iterable[str]) -> None:
        """A cable from the host; its other end stays silent."""
        left, right = self.lab.link(other, self.host)
        other.run("sysctl", "-qw", f"net.ipv6.conf.{left}.disable_ipv6=1")
        for space, end, name in ((other, left, there), (self.host, right, here)):
            space.run("ip", "link", "set", end, "down")
            space.run("ip", "link", "set", end, "name", name)
            space.run("ip", "link", "set", name, "up")
        for address in addresses:
            extra = ("nodad",) if ":" in address else ()
            self.host.run("ip", "address", "add", f"{address}/{64 if ':' in address else 24}", "dev", here, *extra)

    def __exit__(self, *_: object) -> None:
        self.wire.close()
        self.lab.__exit__()

    @property
    def world(self) -> World:
        """The host as the evaluator may know it."""
        links = []
        for name, own, networks in (
            ("outside", OWN, ("10.91.0.0/24", "fd91::/64")),
            ("inside0", ("10.92.0.1", "fd92::1"), ("10.92.0.0/24", "fd92::/64")),
        ):
            links.append(Link(name, AddressSet.of(*own), networks_of(networks)))
        links.append(Link("lo", AddressSet.of("127.0.0.1", "::1"), AddressSet()))
        return World(tuple(links))

    def _find_neighbours(self) -> None:
        """The host finds everybody by its cable without asking."""
        self.mac = json.loads(self.host.run("ip", "-j", "link", "show", "outside"))[0]["address"]
        client = json.loads(self.client.run("ip", "-j", "link", "show", "near"))[0]["address"]
        for via in ("10.91.0.1", "fd91::1"):
            self.host.run("ip", "neigh", "replace", via, "lladdr", client, "dev", "outside", "nud", "permanent")
            self.host.run("ip", *(["-6"] if ":" in via else []), "route", "add", "default", "via", via)
        for address in BEHIND:
            self.host.run(
                "ip", "neigh", "replace", address, "lladdr", "02:00:00:00:00:05", "dev", "inside0", "nud", "permanent"
            )

    def _establish(self) -> list[Packet]:
        """Connections that the host has answered before any rule stood there."""
        # Without a rule that looks at connections the kernel would not follow them.
        self.host.run(
            "nft",
            "-f",
            "-",
            text="flush ruleset; table inet t { chain c { type filter hook input priority 0; ct state new accept; }; }",
        )
        packets = [
            Packet(source, own, "udp", 40_000 + number, port, established=True)
            for family in (4, 6)
            for own in OWN
            if (":" in own) == (family == 6)
            for port in SERVED
            for number, source in enumerate(SOURCES[family])
        ]
        servers = self.host.inside(lambda: [serve(own, port) for own in OWN for port in SERVED])
        for packet in packets:
            self.wire.send(frame(packet, 0, self.mac))
        for server in servers:
            server.settimeout(5)
            for _ in range(len(SOURCES[4])):
                _, sender = server.recvfrom(64)
                server.sendto(b"answer", sender)
            server.close()
        return packets

    def load_nft(self, rules: str) -> None:
        """Load nftables rules and the tap in place of all that is there."""
        self.host.run("nft", "-f", "-", text=f"flush ruleset\n{rules}\n{TAP}")

    def load_what_loads(self, rules: str) -> str:
        """Load rules without the lines that nft refuses, and give what was loaded."""
        while True:
            try:
                self.load_nft(rules)
            except RuntimeError as error:
                refused = {int(number) - 2 for number in re.findall(r"/dev/stdin:(\d+):", str(error))}
                lines = rules.splitlines()
                kept = [line for at, line in enumerate(lines) if at not in refused]
                if len(kept) == len(lines):
                    raise
                rules = "\n".join(kept)
            else:
                return rules

    def load_iptables(self, v4: str, v6: str, program: str = "nft") -> None:
        """Load rules as iptables-save writes them, then the tap. `program` is `nft` or `legacy`."""
        self.host.run("nft", "flush", "ruleset")
        for command, text in (("iptables", v4), ("ip6tables", v6)):
            self.host.run(f"{command}-{program}-restore", text=text)
        self.host.run("nft", "-f", "-", text=TAP)

    def clear_iptables(self, program: str) -> None:
        """Take iptables' rules away again; those of the old tables nft does not see."""
        for command in ("iptables", "ip6tables"):
            self.host.run(f"{command}-{program}-restore", text="".join(EMPTY_TABLES))

    def ask(self, packets: Sequence[Packet]) -> dict[int, Passed]:
        """Send packets, numbered from 1, and give those that got through. Fails when not all arrived."""
        for number, packet in enumerate(packets, 1):
            self.wire.send(frame(packet, number, self.mac))
        table = json.loads(self.host.run("nft", "-j", "list", "table", "inet", "tap"))["nftables"]
        sets = {item["set"]["name"]: item["set"].get("elem", []) for item in table if "set" in item}
        arrived = {*map(element, sets["sent4"]), *map(element, sets["sent6"])}
        missing = set(range(1, len(packets) + 1)) - arrived
        if missing:
            raise RuntimeError(f"{len(missing)} of {len(packets)} packets did not arrive")
        passed: dict[int, Passed] = {}
        for name, hook in (("in4", "input"), ("in6", "input"), ("on4", "postrouting"), ("on6", "postrouting")):
            for item in sets[name]:
                number, address, port = element(item)["concat"]
                passed[number] = Passed(hook, address, port)
        return passed


def element(item: Any) -> Any:
    """An element of a set, without what belongs to it."""
    return item["elem"]["val"] if isinstance(item, dict) and "elem" in item else item


def networks_of(texts: Iterable[str]) -> AddressSet:
    found = [parse_target(text, wide=True).addresses for text in texts]
    return AddressSet(tuple(pair for addresses in found if addresses for pair in addresses.ranges))


def serve(address: str, port: int) -> socket.socket:
    server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, port))
    return server


def frame(packet: Packet, number: int, mac: str) -> bytes:
    """The Ethernet frame of a packet, its number in the identification or the flow label."""
    body, protocol = payload(packet)
    source, destination = ip_address(packet.source).packed, ip_address(packet.destination).packed
    if packet.family == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), number, 0, 64, protocol, 0) + source + destination
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        kind = 0x0800
    else:
        head = struct.pack("!IHBB", 6 << 28 | number, len(body), protocol, 64) + source + destination
        kind = 0x86DD
    return bytes.fromhex(mac.replace(":", "")) + b"\x02\0\0\0\0\x01" + struct.pack("!H", kind) + head + body


def payload(packet: Packet) -> tuple[bytes, int]:
    """The packet's layer 4, and its protocol number."""
    if packet.transport == "tcp":
        return struct.pack("!HHIIBBHHH", packet.source_port, packet.port, 1, 0, 0x50, packet.flags, 1024, 0, 0), 6
    if packet.transport == "udp":
        data = b"question"
        pseudo = ip_address(packet.source).packed + ip_address(packet.destination).packed
        pseudo += struct.pack("!HHHHHH", 17, 8 + len(data), packet.source_port, packet.port, 8 + len(data), 0) + data
        return struct.pack("!HHHH", packet.source_port, packet.port, 8 + len(data), checksum(pseudo) or 0xFFFF) + data, 17
    body = struct.pack("!HHHH", packet.port, 0, packet.source_port, 1)
    return body, 58 if packet.family == 6 else 1


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1])) + (data[-1] << 8 if len(data) & 1 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total
