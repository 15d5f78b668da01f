"""What to do about a port, in order: the steps of the catalogue, and the one for the firewall that follows from the role.

The entries say what is special about a service. That a port which is not meant for the public is opened to listed networks
only, in both address families, is the same for all of them and is derived here.
"""

from __future__ import annotations

from reconshield.knowledge.records import EndpointEntry, ServiceEntry, Step


def steps_for(entry: ServiceEntry, endpoint: EndpointEntry) -> tuple[Step, ...]:
    """Server first, then firewall, clients, watch; an entry that has a firewall step of its own keeps it."""
    if any(step.who == "firewall" for step in entry.do):
        return entry.do
    server = tuple(step for step in entry.do if step.who == "server")
    return (*server, firewall_step(endpoint), *(step for step in entry.do if step.who != "server"))


def firewall_step(endpoint: EndpointEntry) -> Step:
    """Who must keep reaching the endpoint, by its role."""
    place = f"{endpoint.port}/{endpoint.transport}"
    text = {
        "public": f"open {place} on the servers meant for it only, IPv4 and IPv6",
        "mixed": f"allow {place} from listed networks only, IPv4 and IPv6",
        "internal": f"allow {place} from inside only, in IPv4 and IPv6",
        "never": f"allow {place} from a management network only, IPv4 and IPv6",
    }[endpoint.role]
    return Step(who="firewall", text=text, source="reconshield")
