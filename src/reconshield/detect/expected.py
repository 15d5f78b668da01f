"""What should be spoken where: ports to services, and the traffic that zones allow. Look-ups are given, so this stays pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import PortSet
from reconshield.detect.ends import Ends
from reconshield.detect.flows import UNRECOGNISED
from reconshield.knowledge.speech import RECOGNISED
from reconshield.policy import Policy, Traffic
from reconshield.policy.gates import LINK, Gate, find_gates, governed_zones

Array = NDArray[Any]
TRANSPORTS = {6: "tcp", 17: "udp"}

WRAPPED = frozenset({"tls", "quic"})
"""Names of what wraps other protocols; what is inside stays unseen."""


def ids(text: str) -> frozenset[str]:
    return frozenset(text.split())


FORMATS: Mapping[str, frozenset[str]] = {
    "dns": ids("mdns llmnr netbios-ns"),
    "http": ids(
        """airplay alertmanager arangodb bitcoin-rpc chrome-devtools chromecast clickhouse cockpit cockroachdb consul couchbase
        couchdb cpanel cwmp directadmin docker docker-registry elasticsearch envoy-admin etcd ethereum-rpc flink
        glassfish-admin grafana haproxy-stats hbase hdfs hive http-proxy i2p impala influxdb intel-amt ipfs ipp jaeger
        jboss-management jellyfin jenkins-agent jupyter kafka-connect kibana kong-admin kubelet kubernetes loki
        matrix-federation milvus minio monero neo4j netdata nexus-repository node-exporter node-inspector nomad nsq ollama
        orientdb otlp papercut plesk plex portainer prometheus proxmox puppet pushgateway qdrant rabbitmq-management ray
        realtek-upnp riak roku rspamd rundeck sap schema-registry screenconnect selenium-grid solr sonarqube sonos spark
        splunk ssdp syncthing synology teamcity tidb tor vault veeam weblogic webmin websphere-admin winrm wsdapi wsus yarn
        zipkin"""
    ),
    "tls": ids(
        """anydesk bacula beats cassandra checkmk-agent citrix-ica docker-swarm fluentd gelf ignite kafka mongodb nomachine nrpe
        nsca openvpn openwire redis relp rustdesk salt splunk teamviewer vmware-authd winbox zabbix-agent zabbix-server"""
    ),
}
"""Services with messages in the format of another, or inside it: sensors say that DNS, HTTP or TLS is spoken there. What speaks
HTTP may also speak it within TLS on the same port.
"""


@dataclass(frozen=True, slots=True)
class Services:
    """What the catalogue says of ports. `at` gives the services that a port has, the likeliest first, with the way each uses
    TLS (`none`, `starttls`, `implicit`); `ports_of` the ports of a service.
    """

    at: Callable[[int, str], tuple[tuple[str, str], ...]] = lambda _port, _transport: ()
    ports_of: Callable[[str], PortSet] = lambda _: PortSet()

    def mismatch(self, port: int, transport: str, app: str) -> str | None:
        """Why the protocol that was seen does not belong on a port; None where it does, or where nobody can tell."""
        usual = self.at(port, transport)
        if not app or not usual:
            return "SSH off its port" if app == "ssh" and not usual else None
        names = {name for name, _ in usual}
        spoken = app.split(",")
        wrapped = any(tls == "implicit" for _, tls in usual)
        if any(names & FORMATS[name] for name in FORMATS.keys() & set(spoken)):
            return None
        if WRAPPED & set(spoken) and (wrapped or names & FORMATS["http"]):
            return None
        if names & set(spoken):
            return None
        if app == UNRECOGNISED:
            # Only where the first octets of all usual protocols would have been recognised does their absence mean anything.
            told = all(name in RECOGNISED or tls == "implicit" for name, tls in usual)
            return f"first octets were no {usual[0][0]} and nothing else that is known" if transport == "tcp" and told else None
        return f"{app} was spoken, not {'TLS' if wrapped else usual[0][0]}"


@dataclass(frozen=True, slots=True)
class Verdicts:
    """For each conversation: is a zone's traffic policy over it, does it allow it, and which entry or zone decides."""

    governed: NDArray[np.bool_]
    allowed: NDArray[np.bool_]
    secure: NDArray[np.bool_]
    entry: NDArray[np.int64]
    zone: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TrafficPolicy:
    """The [[traffic]] entries of a policy, ready to be asked about many conversations at once."""

    policy: Policy
    services: Services
    now: float
    ports: Mapping[int, PortSet] = field(default_factory=dict)

    def judge(self, rows: Array, ends: Ends, apps: tuple[str, ...]) -> Verdicts:
        """Ask both sides: the zone that sends must allow `out`, the zone that receives `in`, one zone for both `within`."""
        src, dst = zones_of_sides(self.policy, ends)
        out, within = src != dst, (src == dst) & (src >= 0)
        allowed = {side: np.zeros(rows.size, bool) for side in ("out", "in", "within")}
        entry = np.full(rows.size, -1, np.int64)
        for number, rule, gate in self._entries():
            here = (src if rule.direction == "out" else dst) == gate.number
            here &= within if rule.direction == "within" else out
            here &= self._ports_match(rule, rows, apps)
            inside = ends.within(rule.area)
            other = ends.src if rule.direction == "in" else ends.dst
            here &= inside[other]
            allowed[rule.direction] |= here
            entry = np.where(here & (entry < 0), number, entry)
        said = governed_zones(self.policy)
        asks_out, asks_in = out & np.isin(src, said), out & np.isin(dst, said)
        asks_within = within & np.isin(src, said)
        wrong_out, wrong_in = asks_out & ~allowed["out"], asks_in & ~allowed["in"]
        wrong = wrong_out | wrong_in | (asks_within & ~allowed["within"])
        zone = np.where(wrong_in & ~wrong_out, dst, np.where(asks_out | within, src, dst))
        secure = np.isin(zone, [number for number, found in enumerate(self.policy.zones) if found.secure])
        governed = asks_out | asks_in | asks_within
        return Verdicts(governed, governed & ~wrong, secure, entry, zone)

    def _entries(self) -> list[tuple[int, Traffic, Gate]]:
        """The live entries in the order of the file, each with its gate."""
        found = [(number, rule, gate) for gate in find_gates(self.policy, self.now) for number, rule in gate.allowed]
        return sorted(found, key=lambda each: each[0])

    def _ports_match(self, rule: Traffic, rows: Array, apps: tuple[str, ...]) -> Array:
        """Where port and protocol are what an entry allows. A service counts by what was spoken, else by its port."""
        if rule.port_set is None and not rule.service_ids:
            return np.ones(rows.size, bool)
        found = np.zeros(rows.size, bool)
        if rule.port_set is not None:
            found |= ports_in(rule.port_set, rows)
        for service in sorted(rule.service_ids):
            speaks = np.array([service in app.split(",") for app in apps])[rows["app"]]
            open_ = np.array([not app or app == UNRECOGNISED or bool(WRAPPED & set(app.split(","))) for app in apps])[
                rows["app"]
            ]
            found |= speaks | (open_ & ports_in(self.services.ports_of(service), rows))
        return found


def zones_of_sides(policy: Policy, ends: Ends) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The zones between which each conversation is: what is sent to the link stays in the zone of its source."""
    zones = zone_numbers(policy, ends)
    src, dst = zones[ends.src], zones[ends.dst]
    return src, np.where(ends.within(LINK)[ends.dst], src, dst)


def zone_numbers(policy: Policy, ends: Ends) -> NDArray[np.int64]:
    """The zone of each address of `ends` by its number in the policy, -1 for `wan`."""
    numbers = np.full(len(ends), -1, np.int64)
    for number in range(len(policy.zones)):
        numbers[ends.within(policy.zone_map.area_of(number))] = number
    return numbers


def ports_in(ports: PortSet, rows: Array) -> Array:
    found = np.zeros(rows.size, bool)
    for transport, name in TRANSPORTS.items():
        same = rows["transport"] == transport
        for first, last in getattr(ports, name):
            found |= same & (rows["dport"] >= first) & (rows["dport"] <= last)
    return found
