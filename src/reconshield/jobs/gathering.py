"""What an import has read so far: answers waiting to be saved, claims, coverage, and what could not be used."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from reconshield.addresses import parse_address
from reconshield.intake.reading import Bad, Claim, Cut, Item, Origin, Reading, Spread, Whole
from reconshield.knowledge.names import find_endpoints
from reconshield.model import Confidence, Endpoint, Observation, Rung, Service, State, Tls, Transport, Turn
from reconshield.scan.batch import Batch, empty, split_address
from reconshield.text import printable

NAMED_FAULTS = 5
KEPT_BANNER = 4096
SERVICE_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.+/")


@dataclass(slots=True)
class Gathered:
    """What was read so far."""

    origin: Origin
    rows: list[Batch] = field(default_factory=list)
    waiting: list[Observation] = field(default_factory=list)
    held: int = 0
    blocks: int = 0
    records: int = 0
    bad: int = 0
    faults: list[str] = field(default_factory=list)
    cut: str | None = None
    seen: set[tuple[int, int, int]] = field(default_factory=set)
    whole: list[int] = field(default_factory=list)
    ports: dict[str, set[int]] = field(default_factory=lambda: {"tcp": set(), "udp": set()})
    addresses: set[int] = field(default_factory=set)
    claims: dict[Endpoint, Service] = field(default_factory=dict)
    latest: float = 0.0

    def note(self, item: Item, changed: float) -> None:
        """Take one item in. Times that the file does not say are those of the file itself."""
        if isinstance(item, Origin):
            self.origin = item
        elif isinstance(item, Bad):
            self.bad += 1
            if len(self.faults) < NAMED_FAULTS:
                self.faults.append(printable(f"{item.where}: {item.why}", 160))
        elif isinstance(item, Cut):
            self.cut = item.why
        elif isinstance(item, Whole):
            self.whole.append(parse_address(item.ip))
            self.addresses.add(self.whole[-1])
        elif isinstance(item, Spread):
            self._note_spread(replace(item, at=item.at or self.origin.started or changed))
        else:
            self._note_reading(item, changed)

    def _note_reading(self, reading: Reading, changed: float) -> None:
        """One endpoint: its first observation counts, a later record may still say what speaks there."""
        self.records += 1
        seen = reading.observation
        seen = replace(seen, at=seen.at or self.origin.started or changed)
        endpoint, number = seen.endpoint, parse_address(seen.endpoint.ip)
        key = (number, endpoint.port, Transport[endpoint.transport.upper()].value)
        if key not in self.seen:
            self.seen.add(key)
            self.addresses.add(number)
            self.ports[endpoint.transport].add(endpoint.port)
            self.waiting.append(seen)
            self.held += 1
            self.latest = max(self.latest, seen.at)
        if reading.claim is not None and seen.state is State.OPEN:
            service = service_of(reading.claim, endpoint, seen.at, seen.name)
            before = self.claims.get(endpoint)
            if before is None or weight(service) > weight(before):
                self.claims[endpoint] = service

    def _note_spread(self, spread: Spread) -> None:
        """Many ports of one address, as one array."""
        self.records += 1
        number = parse_address(spread.ip)
        ports = np.concatenate([np.arange(first, last + 1, dtype=np.uint16) for first, last in spread.ports])
        rows = empty(len(ports))
        rows["hi"], rows["lo"] = split_address(number)
        rows["port"], rows["transport"] = ports, Transport[spread.transport.upper()]
        rows["state"], rows["reason"], rows["at"] = spread.state, spread.reason, spread.at
        self.rows.append(rows)
        self.held += len(rows)
        self.addresses.add(number)
        self.ports[spread.transport].update(ports.tolist())
        self.latest = max(self.latest, spread.at)


def weight(service: Service) -> tuple[bool, bool, bool]:
    """How much a claim says: a later one replaces an earlier one that says less."""
    return service.confidence is not Confidence.GUESS, service.service != "unknown", service.product is not None


def service_of(claim: Claim, endpoint: Endpoint, at: float, name: str | None) -> Service:
    """A claim in our words. It is never `confirmed`: the dialogue was somebody else's."""
    known, banner = service_id(claim.name), claim.banner[:KEPT_BANNER]
    rung = Rung.BYTES if claim.probed else Rung.SYN_ACK
    turns = (Turn("listen", b"", banner, truncated=len(claim.banner) > KEPT_BANNER),) if banner else ()
    return Service(
        endpoint=endpoint,
        service=known,
        confidence=Confidence.PROBABLE if claim.probed and known != "unknown" else Confidence.GUESS,
        at=at,
        product=claim.product,
        version=claim.version,
        cpe=claim.cpe,
        tls=Tls.IMPLICIT if claim.tls else Tls.NONE,
        rung=rung,
        evidence=turns,
        note=claim.note,
        name=name,
    )


def service_id(name: str) -> str:
    """Our id for another tool's name: by id, registered name or alias; a name that nobody here knows stays as it is."""
    plain = name.strip().lower()[:60]
    if not plain or not set(plain) <= SERVICE_NAME or plain == "tcpwrapped":
        return "unknown"
    found = find_endpoints(plain)
    return found[0].service if found else plain
