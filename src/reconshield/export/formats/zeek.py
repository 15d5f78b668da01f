"""Zeek: a script that raises a notice for each connection that is against the policy.

The policy is data at the beginning of the script (`gates`), and the code behind it is always the same. It asks what detection
asks of a conn.log, at the same moment: when a connection is over and Zeek knows what was spoken. Entries end by themselves.
Zeek's intelligence framework takes what is bad, not all but what is allowed, so there is no file for it. Source: Zeek manual.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconshield.addresses import PortSet
from reconshield.export.enclaves import Allowance, Enclaves, Gate
from reconshield.export.format import Format
from reconshield.export.places import Networks, networks
from reconshield.export.wording import ended_words, entry_words, gate_words, preamble
from reconshield.knowledge.dialects import zeek_names
from reconshield.policy.gates import LINK, SELF_PORTS, UNJUDGED_TYPES

CANNOT = ("which side began a connection that was under way when Zeek was started: Zeek guesses",)

TYPES = """\
@load base/frameworks/notice

module ReconShieldPolicy;

export {
	redef enum Notice::Type += {
		## No entry of the policy allows this connection.
		Not_Allowed,
	};
}

type Ports: record {
	first: port;
	last: port;
};

type Places: record {
	## In one of these networks and in none of the holes, or with `others` in none of the networks.
	nets: set[subnet];
	holes: set[subnet];
	others: bool;
};

type Entry: record {
	## Where the other side is.
	peers: Places;
	## Whatever the port and the protocol.
	anything: bool;
	## Allowed whatever is spoken there.
	ports: vector of Ports;
	## Allowed on any port.
	spoken: set[string];
	## Allowed where nothing was recognised, or only what hides others.
	usual: vector of Ports;
	## Unix seconds at which the entry is over; 0: it has no end.
	ends: double;
};

type Gate: record {
	zone: string;
	direction: string;
	own: Places;
	## Where the other side counts as the zone's.
	near: Places;
	entries: vector of Entry;
};
"""
CODE = """\
const hiding: set[string] = { "ssl", "tls", "quic" };

function is_at(a: addr, places: Places): bool
	{
	if ( places$others )
		return a !in places$nets;
	return a in places$nets && a !in places$holes;
	}

function in_ports(p: port, ranges: vector of Ports): bool
	{
	for ( i in ranges )
		{
		local range = ranges[i];
		if ( get_port_transport_proto(p) == get_port_transport_proto(range$first) && p >= range$first && p <= range$last )
			return T;
		}
	return F;
	}

function any_of(found: set[string], wanted: set[string]): bool
	{
	for ( name in found )
		if ( name in wanted )
			return T;
	return F;
	}

# What was recognised, as conn.log has it: an analyzer that gave up is marked with a minus.
function recognised(c: connection): set[string]
	{
	local found: set[string] = set();
	for ( name in c$service )
		if ( |name| > 0 && name[0] != "-" )
			add found[to_lower(name)];
	return found;
	}

function allows(entry: Entry, peer: addr, p: port, spoken: set[string]): bool
	{
	if ( entry$ends > 0.0 && time_to_double(network_time()) >= entry$ends )
		return F;
	if ( ! is_at(peer, entry$peers) )
		return F;
	if ( entry$anything || in_ports(p, entry$ports) || any_of(spoken, entry$spoken) )
		return T;
	return in_ports(p, entry$usual) && ( |spoken| == 0 || any_of(spoken, hiding) );
	}

# What every stack does by itself: errors of ICMP, and discovery. Zeek has the type of a message as the port of its sender.
function keeps_house(c: connection): bool
	{
	if ( is_v4_addr(c$id$resp_h) && c$id$orig_p in messages4 )
		return T;
	if ( is_v6_addr(c$id$resp_h) && c$id$orig_p in messages6 )
		return T;
	return c$id$resp_p in asks_link && c$id$resp_h in link;
	}

event connection_state_remove(c: connection)
	{
	if ( keeps_house(c) )
		return;
	local spoken = recognised(c);
	for ( i in gates )
		{
		local gate = gates[i];
		local own = gate$direction == "in" ? c$id$resp_h : c$id$orig_h;
		local peer = gate$direction == "in" ? c$id$orig_h : c$id$resp_h;
		if ( ! is_at(own, gate$own) || is_at(peer, gate$near) != ( gate$direction == "within" ) )
			next;
		local allowed = F;
		for ( j in gate$entries )
			if ( allows(gate$entries[j], peer, c$id$resp_p, spoken) )
				allowed = T;
		if ( ! allowed )
			NOTICE([$note=Not_Allowed, $conn=c, $suppress_for=1hr,
				$msg=fmt("%s %s: no entry of the policy allows %s", gate$zone, gate$direction, c$id$resp_p),
				$identifier=cat(gate$zone, gate$direction, c$id$orig_h, c$id$resp_h, c$id$resp_p)]);
		}
	}
"""


def render(enclaves: Enclaves) -> str:
    head = [f"# {line}" for line in preamble(enclaves, "What zones may not talk, as a script for Zeek", CANNOT, ends=True)]
    return "\n".join([*head, "", TYPES, *data(enclaves.gates), *link_data(), "", CODE])


def data(gates: tuple[Gate, ...]) -> Iterator[str]:
    """The policy as a value: a comma behind every record but the last."""
    yield "const gates: vector of Gate = vector("
    for gate in gates:
        yield f"\t# {gate_words(gate)}"
        yield from (f"\t# {ended_words(entry)}" for entry in gate.ended)
        yield f'\tGate($zone="{gate.zone.name}", $direction="{gate.direction}", '
        yield f"\t\t$own={places(networks(gate.own, hulls=gate.hulls))},"
        yield f"\t\t$near={places(networks(gate.near, hulls=gate.hulls))},"
        yield "\t\t$entries=vector("
        for each in gate.allowed:
            yield f"\t\t\t# {entry_words(each.entry)}"
            yield f"\t\t\t{entry_text(gate, each)}{'' if each is gate.allowed[-1] else ','}"
        yield f"\t\t)){'' if gate is gates[-1] else ','}"
    yield ");"


def link_data() -> Iterator[str]:
    """What is never judged."""
    ports = ", ".join(f"{port}/udp" for first, last in SELF_PORTS.udp for port in range(first, last + 1))
    for name, transport in (("messages4", 1), ("messages6", 58)):
        types = ", ".join(f"{number}/icmp" for number in UNJUDGED_TYPES[transport])
        yield f"const {name}: set[port] = {{ {types} }};"
    yield f"const asks_link: set[port] = {{ {ports} }};"
    yield f"const link: set[subnet] = {subnets(networks(LINK).cidrs)};"


def entry_text(gate: Gate, each: Allowance) -> str:
    spoken = sorted({name for service, _ in each.services for name in zeek_names(service)})
    fields = (
        f"$peers={places(networks(each.peers, hulls=gate.hulls))}",
        f"$anything={'T' if each.anything else 'F'}",
        f"$ports={port_ranges(each.numbered)}",
        f"$spoken=set({', '.join(f'{chr(34)}{name}{chr(34)}' for name in spoken)})",
        f"$usual={port_ranges(each.usual)}",
        f"$ends={each.entry.ends or 0.0:.1f}",
    )
    return f"Entry({', '.join(fields)})"


def places(nets: Networks) -> str:
    return f"Places($nets={subnets(nets.cidrs)}, $holes={subnets(nets.holes)}, $others={'T' if nets.negated else 'F'})"


def subnets(cidrs: Iterable[str]) -> str:
    """Zeek writes IPv6 in brackets."""
    return f"set({', '.join('[' + cidr.replace('/', ']/') if ':' in cidr else cidr for cidr in cidrs)})"


def port_ranges(ports: PortSet) -> str:
    ranges = [(name, pair) for name, pairs in (("tcp", ports.tcp), ("udp", ports.udp)) for pair in pairs]
    return f"vector({', '.join(f'Ports($first={first}/{name}, $last={last}/{name})' for name, (first, last) in ranges)})"


FORMAT = Format("zeek", "a Zeek script", render, CANNOT)
