"""Random rulesets and packets that meet them often: few addresses, few ports, many kinds of conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from system.kernel import BEHIND, OWN, SOURCES, Packet

PORTS = (22, 25, 53, 80, 110, 123, 443, 993, 8080, 40_000)
NETWORKS = {
    4: (
        "10.8.0.0/24",
        "10.8.0.0/16",
        "10.91.0.0/24",
        "10.0.0.0/8",
        "192.0.2.1",
        "10.8.0.1-10.8.0.80",
        "198.51.100.0/25",
        "0.0.0.0/1",
    ),
    6: ("fd08::/64", "fd08::/32", "fd91::/64", "fd00::/8", "2001:db8::1", "fd08::1-fd08::80", "2001:db8::/32", "fd09::5"),
}
TARGETS = {family: tuple(address for address in (*OWN, *BEHIND) if (":" in address) == (family == 6)) for family in (4, 6)}
WORD = {4: "ip", 6: "ip6"}
FLAG_STATES = (
    (0x02, "new"),
    (0x02, "new"),
    (0x02, "new"),
    (0x10, "new"),
    (0x00, "invalid"),
    (0x04, "invalid"),
    (0x11, "invalid"),
)
STATES = ("new", "established", "established,related", "invalid", "untracked", "!= new", "new,untracked")
FLAGS = ("syn", "& (fin | syn | rst | ack) == syn", "& (syn | ack) != syn", "& (ack | rst) == 0x0", "== syn")
SOURCE_PORTS = ("1-1023", "1024-65535", "2000-50000", "!= 1-1023", "!= 2000-50000")
ICMP = {4: ("icmp type echo-request", "icmp type { 8, 13 }", "icmp type != 8"), 6: ("icmpv6 type 128", "icmpv6 type != 128")}


def random_packets(rng: Random, count: int, established: Sequence[Packet]) -> list[Packet]:
    """Packets of both families; one in ten belongs to a connection that was answered before."""
    return [rng.choice(established) if established and rng.random() < 0.1 else random_packet(rng) for _ in range(count)]


def random_packet(rng: Random) -> Packet:
    family = rng.choice((4, 6))
    source, target = rng.choice(SOURCES[family]), rng.choice(TARGETS[family])
    kind = rng.choice(("tcp", "tcp", "tcp", "udp", "udp", "icmp"))
    sport = rng.choice((rng.randrange(1, 1024), rng.randrange(1024, 40_000), rng.randrange(41_000, 65_536)))
    if kind == "icmp":
        return Packet(
            source, target, "icmp" if family == 4 else "icmpv6", sport, rng.choice((8, 13) if family == 4 else (128,)) << 8
        )
    flags = rng.choice(FLAG_STATES)[0] if kind == "tcp" and rng.random() < 0.3 else 0x02
    return Packet(source, target, kind, sport, rng.choice(PORTS), flags)


class NftRules:
    """One random ruleset for nft. `families` are those of its tables; verdicts are those that a hook allows."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.family = rng.choice(("inet", "inet", "inet", "ip", "ip6"))
        self.marks = rng.random() < 0.3
        self.connection_marks = self.marks and rng.random() < 0.3

    def text(self) -> str:
        """A whole table."""
        rng = self.rng
        sets = "".join(self.named_set(number) for number in range(2))
        chains = [self.base(f"in{number}", "input", priority) for number, priority in enumerate(self.priorities(1, 3))]
        chains += [self.base(f"on{number}", "forward", priority) for number, priority in enumerate(self.priorities(0, 2))]
        if rng.random() < 0.4:
            chains.append(self.base("pre", "prerouting", rng.choice((-300, -150, 10)), verdicts=("accept", "drop", "return")))
        if rng.random() < 0.3:
            chains.append(self.base("post", "postrouting", 10, verdicts=("accept", "drop", "return")))
        nat = self.nat() if rng.random() < 0.5 else ""
        user = "".join(self.user(number) for number in reversed(range(3)))
        return f"table {self.family} rules {{\n{sets}{user}{''.join(chains)}{nat}}}\n"

    def priorities(self, least: int, most: int) -> list[int]:
        return self.rng.sample((-180, -50, 0, 5, 200), self.rng.randint(least, most))

    def named_set(self, number: int) -> str:
        family = 4 if self.family == "ip" else 6 if self.family == "ip6" else 4 + 2 * number
        kind = "ipv4_addr" if family == 4 else "ipv6_addr"
        elements = ", ".join(f"{self.source(family, sets=True)} . {self.port_element()}" for _ in range(self.rng.randint(1, 3)))
        plain = self.disjoint(family)
        return (
            f"  set plain{family} {{ type {kind}; flags interval; auto-merge; elements = {{ {plain} }} }}\n"
            f"  set pairs{family} {{ type {kind} . inet_service; flags interval; elements = {{ {elements} }} }}\n"
            if number == 0 or self.family == "inet"
            else ""
        )

    def disjoint(self, family: int) -> str:
        return ", ".join(self.rng.sample(NETWORKS[family], self.rng.randint(1, 3)))

    def source(self, family: int, *, sets: bool = False) -> str:
        rng = self.rng
        if not sets and rng.random() < 0.2:
            return f"@plain{family}"
        return rng.choice((*NETWORKS[family], *SOURCES[family][:3]))

    def port_element(self) -> str:
        first = self.rng.choice(PORTS)
        return str(first) if self.rng.random() < 0.6 else f"{first}-{first + self.rng.choice((1, 30, 900))}"

    def ports(self) -> str:
        rng = self.rng
        kind = rng.random()
        if kind < 0.5:
            return self.port_element()
        if kind < 0.7:
            return "!= " + self.port_element()
        if kind < 0.8:
            return rng.choice(("<", ">", "<=", ">=")) + f" {rng.choice(PORTS)}"
        return "{ " + ", ".join(str(port) for port in sorted(rng.sample(PORTS, rng.randint(2, 4)))) + " }"

    def families(self) -> tuple[int, ...]:
        return {"inet": (4, 6), "ip": (4,), "ip6": (6,)}[self.family]

    def makers(self, hook: str, family: int, transport: str) -> list[Callable[[], str]]:
        rng = self.rng
        word = WORD[family]
        late = hook in {"input", "forward"}
        return [
            lambda: f"{word} saddr {rng.choice(('', '!= '))}{self.source(family)}",
            lambda: f"{word} daddr {rng.choice(('', '!= '))}{rng.choice(TARGETS[family])}",
            lambda: f"{transport} dport {self.ports()}" if transport != "icmp" else rng.choice(ICMP[family]),
            lambda: f"{transport} sport {rng.choice(SOURCE_PORTS)}" if transport != "icmp" else "",
            lambda: f"meta l4proto {rng.choice((transport, '{ tcp, udp }', '!= tcp'))}" if transport in {"tcp", "udp"} else "",
            lambda: f"ct state {rng.choice(STATES)}",
            lambda: f"iifname {rng.choice(('', '!= '))}{rng.choice(('outside', 'out*', 'lo', 'inside0'))}",
            lambda: (
                f"{word} saddr . {transport} dport {rng.choice(('', '!= '))}@pairs{family}"
                if transport in {"tcp", "udp"}
                else ""
            ),
            lambda: f"tcp flags {rng.choice(FLAGS)}" if transport == "tcp" else "",
            lambda: f"meta nfproto {rng.choice(('ipv4', 'ipv6'))}" if self.family == "inet" else "",
            lambda: f"fib daddr type {rng.choice(('local', 'unicast', '!= local', '{ local, broadcast }'))}",
            lambda: f"ct status {rng.choice(('dnat', '& dnat != 0'))}" if late else "",
            lambda: f"meta mark {rng.choice(('0', '1', '!= 1', '{ 1, 2 }', '& 2 == 2', '& 0x6 != 0'))}" if self.marks else "",
            lambda: f"ct mark {rng.choice(('0', '1', '!= 1'))}" if self.connection_marks else "",
            lambda: f"oifname {rng.choice(('inside0', 'outside', 'in*'))}" if hook in {"forward", "postrouting"} else "",
            lambda: f"meta l4proto tcp ct original proto-dst {rng.choice(PORTS)}" if late and transport == "tcp" else "",
            lambda: f"ct original {word} daddr {rng.choice(TARGETS[family])}" if late else "",
        ]

    def conditions(self, hook: str) -> str:
        """One to three conditions of one family and one transport."""
        family, transport = self.rng.choice(self.families()), self.rng.choice(("tcp", "tcp", "udp", "th", "icmp"))
        # Different ones, for nft writes two comparisons of one field as a range that it does not mean.
        found = [make() for make in self.rng.sample(self.makers(hook, family, transport), self.rng.choice((1, 1, 2, 2, 3)))]
        ported = "meta l4proto { tcp, udp } " if transport == "th" and self.rng.random() < 0.98 else ""
        return ported + " ".join(text for text in found if text)

    def rule(self, hook: str, verdicts: Sequence[str]) -> str:
        rng = self.rng
        where = self.conditions(hook)
        kind = rng.random()
        if self.marks and kind < 0.1:
            return (
                f"    {where} meta mark set {rng.choice(('1', '2', 'meta mark | 4', 'meta mark & 5 | 2', 'meta mark ^ 3'))}\n"
            )
        if self.connection_marks and kind < 0.2:
            return f"    {where} {rng.choice(('ct mark set 1', 'ct mark set meta mark', 'meta mark set ct mark'))}\n"
        if kind < 0.3 and "icmp" not in where:
            cases = ", ".join(
                f"{port} : {rng.choice(tuple(verdicts))}" for port in sorted(rng.sample(PORTS, rng.randint(1, 4)))
            )
            transport = "udp" if "udp" in where else "tcp" if "tcp" in where else "th"
            known = "meta l4proto { tcp, udp } " if transport == "th" and "l4proto {" not in where else ""
            return f"    {where} {known}{transport} dport vmap {{ {cases} }}\n"
        return f"    {where} counter {rng.choice(tuple(verdicts))}\n"

    def base(self, name: str, hook: str, priority: int, verdicts: Sequence[str] = ()) -> str:
        rng = self.rng
        own = verdicts or (
            "accept",
            "accept",
            "drop",
            "drop",
            "reject",
            "return",
            "continue",
            "jump c0",
            "jump c1",
            "goto c1",
            "jump c2",
        )
        rules = "".join(self.rule(hook, own) for _ in range(rng.randint(1, 8)))
        if hook == "prerouting" and priority == -300 and rng.random() < 0.5:
            rules += f"    {self.conditions(hook)} notrack\n"
        policy = rng.choice(("accept", "drop")) if hook in {"input", "forward"} else "accept"
        return f"  chain {name} {{\n    type filter hook {hook} priority {priority}; policy {policy};\n{rules}  }}\n"

    def user(self, number: int) -> str:
        further = [f"jump c{other}" for other in range(number + 1, 3)] + [f"goto c{other}" for other in range(number + 1, 3)]
        rules = "".join(
            self.rule("any", ("accept", "drop", "return", "return", "continue", *further))
            for _ in range(self.rng.randint(0, 4))
        )
        return f"  chain c{number} {{\n{rules}  }}\n"

    def nat(self) -> str:
        rng = self.rng
        rules = []
        for _ in range(rng.randint(1, 3)):
            family = rng.choice(self.families())
            inside = BEHIND[0 if family == 4 else 2]
            host = f"[{inside}]" if family == 6 else inside
            word = WORD[family]
            to = {"inet": f" {word}"}.get(self.family, "")
            port = rng.choice(PORTS)
            rules.append(
                rng.choice(
                    (
                        f"meta nfproto ipv{family} tcp dport {port} dnat{to} to {host}:{rng.choice(PORTS)}",
                        f"{word} daddr {TARGETS[family][0]} dnat{to} to {inside}",
                        f"tcp dport {port} redirect to :{rng.choice(PORTS)}",
                        f"udp dport {port} redirect",
                        f"{word} daddr {TARGETS[family][1]} tcp dport {self.ports()} dnat{to} to {TARGETS[family][0]}",
                        f"{word} saddr {self.source(family)} fib daddr type local tcp dport {port} dnat{to} to {host}:80",
                        f"meta nfproto ipv{family} dnat{to} to tcp dport map {{ {port} : {inside} }}",
                        f"{self.conditions('nat')} return",
                        f"{self.conditions('nat')} accept",
                    )
                )
            )
        body = "".join(f"    {rule}\n" for rule in rules)
        return f"  chain nat {{\n    type nat hook prerouting priority -100; policy accept;\n{body}  }}\n"


CTSTATES = ("NEW", "ESTABLISHED,RELATED", "INVALID", "UNTRACKED", "NEW,UNTRACKED")
DST_TYPES = {4: "LOCAL,BROADCAST", 6: "LOCAL,UNICAST"}


class IptablesRules:
    """Random rules of one family as iptables-restore takes them: raw, mangle, nat and filter."""

    def __init__(self, rng: Random, family: int, *, marks: bool) -> None:
        self.rng = rng
        self.family = family
        self.marks = marks

    def text(self) -> str:
        rng = self.rng
        hosts = ("ACCEPT", "ACCEPT", "DROP", "DROP", "REJECT", "RETURN", "c0", "c1", "-g c1", "c2")
        tables = [self.table("filter", dict.fromkeys(("INPUT", "FORWARD"), hosts), rng.choice(("ACCEPT", "DROP")))]
        if rng.random() < 0.4:
            own = (
                "ACCEPT",
                "RETURN",
                "DROP",
                *(
                    ("MARK --set-mark 1", "MARK --set-xmark 0x2/0x3", "MARK --or-mark 4", "MARK --and-mark 5")
                    if self.marks
                    else ()
                ),
            )
            tables.append(self.table("mangle", {"PREROUTING": own, "POSTROUTING": ("ACCEPT", "RETURN", "DROP")}))
        if rng.random() < 0.3:
            tables.append(self.table("raw", {"PREROUTING": ("ACCEPT", "DROP", "RETURN", "CT --notrack", "CT --notrack")}))
        if rng.random() < 0.6:
            tables.append(self.nat())
        return "".join(tables)

    def table(self, name: str, chains: dict[str, Sequence[str]], policy: str = "ACCEPT") -> str:
        rng = self.rng
        heads = [f":{chain} {policy} [0:0]" for chain in chains] + [f":c{number} - [0:0]" for number in range(3)]
        rules = [
            f"-A {chain} {self.rule(chain, targets)}" for chain, targets in chains.items() for _ in range(rng.randint(1, 8))
        ]
        for number in range(3):
            further = tuple(f"{how}c{other}" for other in range(number + 1, 3) for how in ("", "-g "))
            own = ("ACCEPT", "DROP", "RETURN", "RETURN", *further)
            rules += [f"-A c{number} {self.rule('any', own)}" for _ in range(rng.randint(0, 4))]
        return "\n".join([f"*{name}", *heads, *rules, "COMMIT", ""])

    def rule(self, hook: str, targets: Sequence[str]) -> str:
        target = self.rng.choice(tuple(targets))
        return f"{self.conditions(hook)} {target if target.startswith('-g') else '-j ' + target}"

    def nat(self) -> str:
        rng = self.rng
        inside = BEHIND[0 if self.family == 4 else 2]
        host = f"[{inside}]" if self.family == 6 else inside
        rules = []
        for _ in range(rng.randint(1, 4)):
            port, local = rng.choice(PORTS), rng.choice(("", "-m addrtype --dst-type LOCAL "))
            rules.append(
                rng.choice(
                    (
                        f"{local}-p tcp -m tcp --dport {port} -j DNAT --to-destination {host}:{rng.choice(PORTS)}",
                        f"-d {TARGETS[self.family][0]} -j DNAT --to-destination {inside}",
                        f"-p tcp -m tcp --dport {port} -j REDIRECT --to-ports {rng.choice(PORTS)}",
                        f"-p udp -m udp --dport {port} -j REDIRECT",
                        f"! -i lo {local}-p tcp -m tcp --dport {port} -j DNAT --to-destination :{rng.choice(PORTS)}",
                        f"{self.conditions('nat')} -j RETURN",
                        f"{self.conditions('nat')} -j ACCEPT",
                    )
                )
            )
        return "\n".join(["*nat", ":PREROUTING ACCEPT [0:0]", *(f"-A PREROUTING {rule}" for rule in rules), "COMMIT", ""])

    def conditions(self, hook: str) -> str:
        rng = self.rng
        transport = rng.choice(("tcp", "tcp", "udp", "icmp", ""))
        makers = self.makers(hook, transport)
        found = [make() for make in rng.sample(makers, rng.choice((0, 1, 1, 2, 2)))]
        if transport:
            name = "ipv6-icmp" if transport == "icmp" and self.family == 6 else transport
            found.insert(0, f"-p {name}")
        elif rng.random() < 0.1:
            found.insert(0, "! -p tcp")
        return " ".join(text for text in found if text)

    def makers(self, hook: str, transport: str) -> list[Callable[[], str]]:
        rng = self.rng
        ported, late = transport in {"tcp", "udp"}, hook in {"INPUT", "FORWARD"}
        no = rng.choice(("", "! "))
        plain = [network for network in (*NETWORKS[self.family], *SOURCES[self.family][:3]) if "-" not in network]
        spans = [network for network in NETWORKS[self.family] if "-" in network]
        some = ",".join(str(port) for port in sorted(rng.sample(PORTS, 3)))
        return [
            lambda: f"{no}-s {rng.choice(plain)}",
            lambda: f"{no}-d {rng.choice(TARGETS[self.family])}",
            lambda: f"-m iprange {no}--src-range {rng.choice(spans)}",
            lambda: f"-m {transport} {no}--dport {rng.choice(PORTS)}{rng.choice(('', ':50000'))}" if ported else "",
            lambda: f"-m {transport} {no}--sport {rng.choice(('1:1023', '1024:65535', '2000:50000'))}" if ported else "",
            lambda: f"-m multiport {no}--dports {some}" if ported else "",
            lambda: f"-m multiport --ports 100:200,{some}" if ported else "",
            lambda: f"-m conntrack {no}--ctstate {rng.choice(CTSTATES)}",
            lambda: f"-m conntrack {no}--ctorigdst {rng.choice(TARGETS[self.family])}" if late else "",
            lambda: f"-m conntrack --ctorigdstport {rng.choice(PORTS)} --ctproto 6" if late and transport == "tcp" else "",
            lambda: f"-m conntrack {no}--ctstate {rng.choice(('DNAT', 'NEW,DNAT', 'DNAT,INVALID'))}" if late else "",
            lambda: f"-m addrtype {no}--dst-type {rng.choice(('LOCAL', 'UNICAST', DST_TYPES[self.family]))}",
            lambda: f"{no}-i {rng.choice(('outside', 'out+', 'lo', 'inside0'))}" if hook != "POSTROUTING" else "",
            lambda: f"{no}-o {rng.choice(('inside0', 'outside', 'in+'))}" if hook in {"FORWARD", "POSTROUTING"} else "",
            lambda: (
                f"-m tcp {rng.choice(('--syn', '! --syn', '--tcp-flags SYN,ACK SYN', '! --tcp-flags ACK,RST NONE'))}"
                if transport == "tcp"
                else ""
            ),
            lambda: (
                (f"-m icmp {no}--icmp-type {rng.choice((8, 13))}" if self.family == 4 else f"-m icmp6 {no}--icmpv6-type 128")
                if transport == "icmp"
                else ""
            ),
            lambda: f"-m mark {no}--mark {rng.choice(('0', '1', '2', '0x1/0x1'))}" if self.marks else "",
        ]
