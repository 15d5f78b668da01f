"""The risk model: an integer sum of named factors, each with a sentence and a source. Pure.

Base risk answers "what if this service answers a host on an untrusted network"; it comes from the catalogue. The risk of a
measured endpoint is that base, changed by facts that a probe proved, plus contextual points; every addend stays visible.
Scores are cut to 0-100. The thresholds and points are those of docs/catalogue.md, and a golden table holds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from reconshield.knowledge.records import STEPS, EndpointEntry, ServiceEntry
from reconshield.model import THRESHOLDS, Factor, Json, Risk, rating_of

MAXIMA = {name: steps[0] for name, steps in STEPS.items()}
"""The most points that each factor of the base rating can have."""

BORDER = 5
MODEL = "reconshield"

ContextPoint: TypeAlias = Factor
"""An addend that depends on where and how the endpoint was seen. Make it with `context_point`."""


@dataclass(frozen=True, slots=True)
class ContextRule:
    """A contextual addend: its points, and the sentence with the places that a measurement fills."""

    points: int
    template: str
    source: str = MODEL


CONTEXT: Mapping[str, ContextRule] = {
    "listed-networks": ContextRule(-20, "reachable only from listed networks ({networks})"),
    "tls-observed": ContextRule(-15, "TLS was observed before any login", "rfc8314"),
    "mfa-proven": ContextRule(-10, "a second factor or a client certificate is required"),
    "declared-purpose": ContextRule(-15, "declared purpose: {purpose}"),
    "allow-listed": ContextRule(-25, "allowed by the policy, owner {owner}, until {expires}"),
    "end-of-life": ContextRule(10, "{product} {version} is past its end of life"),
    "kev": ContextRule(15, "{product} matches {cve}, known to be exploited", "kev-2025-08-25"),
    "kev-ransomware": ContextRule(20, "{product} matches {cve}, used in ransomware campaigns", "kev-2025-08-25"),
    "epss-high": ContextRule(10, "EPSS of {cve} is {score}", "epss"),
    "epss-raised": ContextRule(5, "EPSS of {cve} is {score}", "epss"),
    "proven-open": ContextRule(15, "proven by a safe check: {proof}"),
    "newly-opened": ContextRule(10, "newly opened: closed at {closed}, open at {opened}, no change record"),
    "secure-enclave": ContextRule(10, "inside the secure enclave {zone}"),
}

UNKNOWN = Risk(
    27,
    "low",
    (
        Factor("impact", 6, "unidentified: what it gives away is not known", MODEL),
        Factor("authentication", 8, "assumed to ask for a password", MODEL),
        Factor("transport", 5, "no TLS is known here", MODEL),
        Factor("exploitation", 0, "nothing can be matched before it is identified", MODEL),
        Factor("intended", 8, "not documented as meant for outside", MODEL),
    ),
)
"""The rating of a port without an entry: identify first."""


@dataclass(frozen=True, slots=True)
class Lower:
    """One way to lower a rating: what to do, what the score would be, and the arithmetic."""

    score: int
    rating: str
    text: str
    arithmetic: str


def clamp(points: int) -> int:
    return max(0, min(100, points))


def rate(factors: Iterable[Factor]) -> Risk:
    """The risk that the factors add up to."""
    listed = tuple(factors)
    score = clamp(sum(factor.points for factor in listed))
    return Risk(score, rating_of(score), listed)


def base_risk(endpoint: EndpointEntry) -> Risk:
    """The base rating of a catalogue endpoint."""
    return rate(Factor(name, rated.points, rated.because, rated.source) for name, rated in endpoint.risk.listed())


def border_note(score: int) -> str | None:
    """A note where five points more or less would change the rating, else None."""
    for least, word in THRESHOLDS:
        if score < least <= score + BORDER or score - BORDER < least <= score:
            return f"near the border: {word} starts at {least}"
    return None


def context_point(name: str, **values: object) -> ContextPoint:
    """A contextual addend by its name in `CONTEXT`, its sentence filled with `values`."""
    rule = CONTEXT[name]
    return Factor(name, rule.points, rule.template.format(**values), rule.source)


def endpoint_risk(base: Risk, facts: Json, context: Iterable[ContextPoint] = ()) -> Risk:
    """The risk of a measured endpoint: the base, what the facts change, the context; cut to 0-100 and rated.

    Facts that count: `auth` ("required" or "none"), `anonymous` (unless `anonymous_read` is False: nothing is shown there), and
    a login that is refused before TLS (`login_clear` is "refused" or `starttls` is "required").
    A known-exploited match never ends below high, for the endpoint was reached.
    """
    factors = [_known_authentication(factor, facts) for factor in base.factors]
    given = tuple(context)
    named = {factor.name for factor in given}
    factors.extend(point for point in _proven(base, facts) if point.name not in named)
    factors.extend(given)
    total = clamp(sum(factor.points for factor in factors))
    if named & {"kev", "kev-ransomware"} and total < 50:
        because = "reached and known to be exploited: never below high"
        factors.append(Factor("kev-floor", 50 - sum(factor.points for factor in factors), because, MODEL))
    return rate(factors)


def _known_authentication(factor: Factor, facts: Json) -> Factor:
    """A service that usually asks for nothing, and here was seen to ask for a login."""
    if factor.name == "authentication" and factor.points == 20 and facts.get("auth") == "required":
        return Factor(factor.name, 8, "a login is required here, seen by a probe", MODEL)
    return factor


def _proven(base: Risk, facts: Json) -> Iterable[Factor]:
    if facts.get("auth") == "none":
        yield context_point("proven-open", proof="it answers without a login")
    elif facts.get("anonymous") is True and facts.get("anonymous_read") is not False:
        yield context_point("proven-open", proof="anonymous access")
    in_clear = any(factor.name == "transport" and factor.points > 0 for factor in base.factors)
    if in_clear and (facts.get("login_clear") == "refused" or facts.get("starttls") == "required"):
        yield context_point("tls-observed")


def would_lower(entry: ServiceEntry, endpoint: EndpointEntry) -> tuple[Lower, ...]:
    """What would lower the base rating, computed: the strongest change of the service first, declarations last."""
    score, points = base_risk(endpoint).score, {name: rated.points for name, rated in endpoint.risk.listed()}
    logs_in = points["authentication"] > 0
    found: list[Lower] = []
    if endpoint.twin is not None and logs_in and endpoint.role != "public":
        twin = base_risk(next(other for other in entry.endpoint if other.port == endpoint.twin))
        text = f"close {endpoint.port}, serve {endpoint.twin}"
        found.append(Lower(twin.score, twin.rating, text, f"the base rating of {endpoint.twin}"))
    if points["transport"] > 0 and logs_in and (endpoint.tls == "starttls" or endpoint.twin is not None):
        found.append(_less(score, "tls-observed", "require TLS before login, seen by a scan"))
    if endpoint.role != "public":
        found.append(_less(score, "listed-networks", "listed networks only, seen by a scan"))
    if 8 <= points["authentication"] <= 14:
        found.append(_less(score, "mfa-proven", "require a second factor or certificate"))
    if endpoint.role in {"public", "mixed"}:
        found.append(_less(score, "declared-purpose", "declare the purpose in the policy"))
    return tuple(lower for lower in found if lower.score < score)


def _less(score: int, context: str, text: str) -> Lower:
    points = -CONTEXT[context].points
    lowered = clamp(score - points)
    return Lower(lowered, rating_of(lowered), text, f"{score} - {points}")


def arithmetic(risk: Risk) -> str:
    """`14 + 8 + 12 + 6 + 4 = 44`; a sum outside 0-100 says so: `… = 115, cut at 100`."""
    terms = [factor.points for factor in risk.factors]
    text = " ".join(_term(points, first=number == 0) for number, points in enumerate(terms))
    total = sum(terms)
    return f"{text} = {total}" + ("" if total == risk.score else f", cut at {risk.score}")


def _term(points: int, *, first: bool) -> str:
    if first:
        return str(points)
    return f"{'-' if points < 0 else '+'} {abs(points)}"


def risk_data(risk: Risk, lower: Iterable[Lower] | None = None) -> dict[str, Any]:
    """A risk as JSON has it : score, rating, factors, and what would lower it."""
    data: dict[str, Any] = {
        "score": risk.score,
        "rating": risk.rating,
        "factors": [
            {"name": factor.name, "points": factor.points, "because": factor.because, "source": factor.source}
            for factor in risk.factors
        ],
    }
    if lower is not None:
        data["would_lower"] = [
            {"score": way.score, "rating": way.rating, "text": way.text, "arithmetic": way.arithmetic} for way in lower
        ]
    return data
