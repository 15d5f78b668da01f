"""A letter in plain language: what changed in a time, why it matters, what to do. Only what changed, and each place once."""

from __future__ import annotations

from collections.abc import Iterator

from reconshield.jobs.changes import load_changes
from reconshield.model import Endpoint, Finding
from reconshield.policy import Policy
from reconshield.report.changes import RatedChange
from reconshield.store import services as kept
from reconshield.store.db import Store
from reconshield.text import local_time, plural, printable

TITLES = {
    "opened": "Opened",
    "service-changed": "Changed",
    "version-changed": "Changed",
    "certificate-changed": "Changed",
    "certificate-expiring": "About to end",
    "newly-measured": "Measured for the first time, and open",
    "closed": "Closed, and measured to be closed",
    "coverage-lost": "No longer measured: nothing is known of these now",
}
"""In the order of the letter."""


def write_letter(store: Store, policy: Policy | None, since: float, now: float) -> Iterator[str]:
    """The lines of the letter for a workspace."""
    newest: dict[Endpoint, tuple[str, RatedChange]] = {c.endpoint: (run, c) for run, c in load_changes(store, since=since)}
    span = f"{local_time(since)} to {local_time(now)}"
    yield f"What changed in {store.workspace}, {span}"
    yield ""
    if not newest:
        yield "Nothing changed where measurements could be compared."
        return
    yield f"{plural(len(newest), 'endpoint is', 'endpoints are')} not as before. The worst stand first."
    findings: dict[str, list[Finding]] = {}
    for title in dict.fromkeys(TITLES.values()):
        found = [(run, change) for run, change in newest.values() if TITLES.get(change.kind) == title]
        if not found:
            continue
        yield ""
        yield f"{title} ({len(found)})"
        for run, change in sorted(found, key=lambda pair: -(pair[1].risk.score if pair[1].risk else 0)):
            if run not in findings:
                findings[run] = kept.findings(store, run)
            mine = [finding for finding in findings[run] if finding.endpoint == change.endpoint]
            yield from paragraph(policy, change, mine)


def paragraph(policy: Policy | None, change: RatedChange, findings: list[Finding]) -> Iterator[str]:
    """One change: where and when, why it matters, what to do and how to see that it is done."""
    endpoint = change.endpoint
    asset = next(iter(policy.assets_of(endpoint.ip)), None) if policy else None
    owner = policy.owner_of(endpoint.ip) if policy else None
    service = change.service_after or change.service_before
    words = (service.service, service.product, service.version) if service else ()
    spoken = " ".join(printable(text, 40) for text in words if text)
    parts = [
        str(endpoint),
        f" on {asset.name}" if asset else "",
        f": {spoken}" if spoken else "",
        f" (owner {owner})" if owner else "",
    ]
    yield "- " + "".join(parts)
    if change.last_seen and change.first_seen:
        yield f"  When: {change.before} at {local_time(change.last_seen)}, {change.after} at {local_time(change.first_seen)}"
    if change.kind in {"closed", "coverage-lost"}:
        return
    worst = max(findings, key=lambda finding: finding.severity.rank, default=None)
    risk = f"risk {change.risk.score} of 100, {change.risk.rating}" if change.risk else "risk not rated"
    yield f"  Why it matters: {f'{worst.title} ({worst.confidence}); ' if worst else ''}{risk}"
    if worst:
        yield f"  What to do: {worst.remedy}"
    port = f"U:{endpoint.port}" if endpoint.transport == "udp" else str(endpoint.port)
    yield f"  Or close it: reconshield firewall advise {endpoint.port}"
    yield f"  Done when: reconshield scan {endpoint.ip} -p {port} says so"
