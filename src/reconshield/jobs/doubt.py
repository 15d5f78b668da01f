"""Open ports that are hard to believe, from the counts to what a report says of them.

    answers of a run -> crowds (`scan.doubt`)           hosts whose every port answers, ports that answer on every host
    set_aside        -> a second connection to each endpoint of such a host; what does not hold is kept as not believed
    weigh            -> what is left to doubt once the rest was identified

Observations stay as they were measured. An endpoint that is not believed has an unknown service with a note that begins with
`NOT_BELIEVED`; reports leave those out and say how many they are.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reconshield.jobs.scan_request import IDENTIFY_LEVEL
from reconshield.knowledge.ports import held_back, usual_service
from reconshield.model import Confidence, Endpoint, Rung, Service
from reconshield.report.result import NOT_BELIEVED, Doubt
from reconshield.scan.doubt import CONFIRMED_SHARE, Crowd, Outcome, choose, find_hosts, find_ports, is_doubtful, may_have_crowds
from reconshield.store.observations import blocks_done, count_open_of, load_observations
from reconshield.store.services import add_services, services

if TYPE_CHECKING:
    from reconshield.scan.effort import Options
    from reconshield.scan.plan import Plan
    from reconshield.scope import Targets
    from reconshield.store.db import Store
    from reconshield.store.runs import Run

UNPROVEN = f"{NOT_BELIEVED}: nearly every port of this host looks open, and this one did not answer in a protocol"
HELD = f"{NOT_BELIEVED}: nearly every port of this host looks open, and this one is held back, so nothing was asked"


@dataclass(frozen=True, slots=True)
class Aside:
    """Endpoints still to be identified, those among them that count only with a protocol, and the hosts and ports in doubt."""

    waiting: list[Endpoint]
    must_prove: frozenset[Endpoint] = frozenset()
    crowds: list[Crowd] = field(default_factory=list)


def find_crowds(store: Store, run: Run, plan: Plan) -> list[Crowd]:
    """The hosts and ports of a run that are doubtful by their counts. Only of whole plans: a part proves nothing."""
    if not plan.ports.tcp or len(blocks_done(store, run.id)) < plan.blocks:
        return []
    ports = replace(plan.ports, udp=()).count
    if not may_have_crowds(count_open_of(store, run.id), ports, plan.targets.count):
        return []
    answers = load_observations(store, run.id)
    return find_hosts(answers, ports) + find_ports(answers, plan.targets.count)


def set_aside(
    store: Store,
    run: Run,
    crowds: list[Crowd],
    waiting: list[Endpoint],
    look: Callable[[list[Endpoint]], dict[Endpoint, Outcome]],
    now: float,
) -> Aside:
    """Look again at the endpoints of doubtful hosts, keep those that are not believed, and give what is left to ask."""
    hosts = {crowd.ip: crowd for crowd in crowds if crowd.ip is not None}
    doubtful = [place for place in waiting if place.ip in hosts and place.transport == "tcp"]
    if not doubtful:
        return Aside(waiting, crowds=crowds)
    outcomes = look([place for place in doubtful if not _is_held(place)])
    worth, must_prove, real = set[Endpoint](), set[Endpoint](), set[str]()
    for ip, crowd in hosts.items():
        mine = {place: outcome for place, outcome in outcomes.items() if place.ip == ip}
        chosen = choose(crowd, mine, lambda place: usual_service(place.port, place.transport) is not None)
        worth |= chosen
        if len(chosen) >= CONFIRMED_SHARE * len(mine):
            real.add(ip)
        if len(chosen) < sum(outcome in {Outcome.SPOKE, Outcome.HELD} for outcome in mine.values()):
            must_prove |= chosen
    refused = {place: _why(outcome) for place, outcome in outcomes.items() if place not in worth}
    refused |= {place: HELD for place in doubtful if _is_held(place) and place.ip not in real}
    add_services(store, run.id, [_disbelieve(place, why, now) for place, why in refused.items()])
    left = [place for place in waiting if place not in refused]
    return Aside(left, frozenset(must_prove), crowds)


def look_again(
    targets: Targets, options: Options, stop: threading.Event
) -> Callable[[list[Endpoint]], dict[Endpoint, Outcome]]:
    """The second look with the limits of a scan."""

    def look(places: list[Endpoint]) -> dict[Endpoint, Outcome]:
        from reconshield.scan.confirm import confirm

        return confirm(targets, places, options, stop)

    return look


def weigh(store: Store, run: Run, crowds: Iterable[Crowd]) -> tuple[Doubt, ...]:
    """What is said of each crowd, now that its endpoints were identified (or guessed, below level 3)."""
    crowds = list(crowds)
    if not crowds:
        return ()
    known = [service for service in services(store, run.id) if service.endpoint.transport == "tcp"]
    return tuple(doubt for crowd in crowds if (doubt := _weigh(crowd, known, run.level)) is not None)


def _weigh(crowd: Crowd, known: list[Service], level: int) -> Doubt | None:
    mine = [s for s in known if (s.endpoint.ip == crowd.ip if crowd.ip is not None else s.endpoint.port == crowd.port)]
    if level >= IDENTIFY_LEVEL:
        proved = [s for s in mine if s.confidence is not Confidence.GUESS]
    else:
        proved = [s for s in mine if not (s.note or "").startswith(NOT_BELIEVED)] if crowd.ip is not None else []
    alike = max(Counter(map(_answer_of, proved)).values(), default=0) if level >= IDENTIFY_LEVEL else 0
    if not is_doubtful(crowd, len(proved), alike):
        return None
    return Doubt(crowd.ip, crowd.port, crowd.measured, crowd.open, len(proved), _reason(crowd, len(proved), alike))


def _answer_of(service: Service) -> tuple[str, str | None, str | None, bytes]:
    """What an answer looks like from outside; a proxy gives the same for every host."""
    first = service.evidence[0].received if service.evidence else b""
    return service.service, service.product, service.version, first


def _reason(crowd: Crowd, proved: int, alike: int) -> str:
    if crowd.ip is not None:
        return "a SYN proxy, a tarpit or a firewall answers for it" if not proved else "something answers for its other ports"
    if alike and alike >= proved:
        return "the same answer from all of them: a proxy on the way, or one server with many addresses"
    return "a proxy on the way, or on this machine, may answer for them"


def _why(outcome: Outcome) -> str:
    return UNPROVEN if outcome in {Outcome.SPOKE, Outcome.HELD} else f"{NOT_BELIEVED}: {outcome.value}"


def _disbelieve(place: Endpoint, why: str, now: float) -> Service:
    return Service(place, "unknown", Confidence.GUESS, now, rung=Rung.SYN_ACK, note=why)


def _is_held(place: Endpoint) -> bool:
    """Print, PLC and serial ports get one connection at most, and the measurement may have been it."""
    return held_back(place.port, place.transport) is not None
