"""One service -> its risk here, the first advice, and the findings that its facts support.

The scan, the report and `rejudge` all come through here, so the same facts always give the same numbers, and the `port` page's
base rating and the scan's rating agree because both come from the catalogue by `knowledge.risk`. The checks, and what is known
of programs, are loaded with the first service of which anything was learned: most scans of level 2 need neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from reconshield.checks.software import read_software
from reconshield.knowledge.catalog import find_entry
from reconshield.knowledge.ports import held_back, usual_service
from reconshield.knowledge.records import EndpointEntry, ServiceEntry
from reconshield.knowledge.risk import UNKNOWN, base_risk, context_point, endpoint_risk
from reconshield.knowledge.steps import steps_for
from reconshield.model import Confidence, Endpoint, Factor, Finding, Risk, Rung, Service, Tls
from reconshield.report.result import RatedService


@dataclass(frozen=True, slots=True)
class Judge:
    """Rates services and finds what is wrong with them, as seen from one vantage at one time."""

    vantage: str
    now: float

    def guess(self, endpoint: Endpoint, at: float, name: str | None) -> Service:
        """The service that a port usually has, when nobody asked the endpoint itself: a guess and marked as one."""
        usual = usual_service(endpoint.port, endpoint.transport)
        return Service(
            endpoint=endpoint,
            service=usual or "unknown",
            confidence=Confidence.GUESS,
            at=at,
            rung=Rung.BYTES if endpoint.transport == "udp" else Rung.HANDSHAKE,
            name=name,
        )

    def guess_held(self, service: Service) -> Service:
        """A service that was not asked because its port is held back: what the port usually has, still a guess."""
        place = service.endpoint
        if service.service != "unknown" or service.evidence or not held_back(place.port, place.transport):
            return service
        return replace(service, service=usual_service(place.port, place.transport) or "unknown")

    def rate(self, service: Service, context: Iterable[Factor] = ()) -> RatedService:
        """The risk of an endpoint, with every addend, and the first thing to do about it. `context` is what only the inventory
        and the policy know.
        """
        entry = find_entry(service.service)
        place = best_endpoint(entry, service) if entry else None
        risk = rate_endpoint(service, place, self.now, context)
        advice = steps_for(entry, place)[0].text if entry and place else None
        return RatedService(service, risk, advice)

    def find(self, service: Service) -> tuple[RatedService, tuple[Finding, ...]]:
        """The rated service and its findings, each with the endpoint's risk."""
        rated = self.rate(service)
        if service.confidence is Confidence.GUESS and not service.facts:
            return rated, ()  # nothing was learned; TLS may have been, also where nobody knows what speaks inside it
        from reconshield.checks.check import Context, run_checks
        from reconshield.checks.rules import CHECKS

        findings = run_checks(CHECKS, service, self.vantage, Context(now=self.now))
        return rated, tuple(replace(f, risk=rated.risk) for f in findings)


def best_endpoint(entry: ServiceEntry, service: Service) -> EndpointEntry:
    """The catalogue endpoint that a service is rated by.

    The one of the same port when it has the same TLS form, else the first of that form, else the service's own: POP3 with TLS
    from the first byte is rated as 995 wherever it is found.
    """
    implicit = service.tls is Tls.IMPLICIT
    alike = [e for e in entry.endpoint if e.transport == service.endpoint.transport] or list(entry.endpoint)
    if service.confidence is Confidence.GUESS:
        return next((e for e in alike if e.port == service.endpoint.port), alike[0])
    same_form = [e for e in alike if (e.tls == "implicit") is implicit]
    return next((e for e in same_form if e.port == service.endpoint.port), (same_form or alike)[0])


def rate_endpoint(service: Service, place: EndpointEntry | None, now: float, context: Iterable[Factor] = ()) -> Risk:
    """The base of the identified service, changed by its facts, by what was seen of TLS, and by the programs it shows."""
    points = (*software_points(service, now), *context)
    if place is None:
        return endpoint_risk(UNKNOWN, service.facts, points)
    base = base_risk(place)
    return endpoint_risk(base, service.facts, (*tls_points(service, base), *points))


def tls_points(service: Service, base: Risk) -> Iterable[Factor]:
    """The point for TLS before any login, where the base counts clear text and a dialogue showed that it does not happen."""
    in_clear = any(f.name == "transport" and f.points > 0 for f in base.factors)
    # "not offered" alone proves nothing: a mail relay offers no login at all, with TLS or without.
    if in_clear and (service.tls is Tls.IMPLICIT or service.facts.get("starttls") == "required"):
        yield context_point("tls-observed")


def software_points(service: Service, now: float) -> Iterable[Factor]:
    """Points for a program past its end, and for one that is affected by what is known to be exploited: the worst of each."""
    software = read_software(service)
    if not software:
        return
    from reconshield.checks.lifespan import find_ended
    from reconshield.checks.vulnerability import State, assess
    from reconshield.knowledge.advisories import all_advisories
    from reconshield.knowledge.kev import exploited

    for ended in find_ended(service, now)[:1]:
        yield context_point("end-of-life", product=ended.name, version=ended.version)
    affected = [v for v in assess(software, all_advisories()) if v.state is State.AFFECTED]
    if not affected:
        return
    known = [(row.ransomware, v) for v in affected if (row := exploited().get(v.advisory.cve))]
    ransomware, verdict = max(known, key=lambda pair: pair[0], default=(False, None))
    if verdict is not None:
        name = "kev-ransomware" if ransomware else "kev"
        yield context_point(name, product=verdict.software.product, cve=verdict.advisory.cve)
