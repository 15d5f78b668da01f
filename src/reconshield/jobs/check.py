"""`reconshield check`: is what is exposed what should be? A run, new or stored, against the policy.

policy -> request_scan -> ScanRequest      all that it declares and asserts, for the grant machinery and the engines
run    -> check_run    -> Checked          every verdict with its risk, for whoever prints it
"""

from __future__ import annotations

from collections.abc import Iterator

from reconshield.addresses import AddressSet, PortSet
from reconshield.errors import Refused, UserError
from reconshield.jobs.context import Context, load_context
from reconshield.jobs.results import load_head
from reconshield.jobs.scan import Prepared, prepare_scan
from reconshield.jobs.scan_request import COMMON_PORTS, ScanRequest
from reconshield.knowledge.ports import top_ports
from reconshield.policy import Policy
from reconshield.policy.absence import asserted_area
from reconshield.policy.verdict import Kind, Verdict
from reconshield.report.checked import Checked, RatedVerdict
from reconshield.settings import Settings
from reconshield.store.db import Store
from reconshield.store.runs import find_run

DAY = 86_400.0


def request_scan(
    policy: Policy,
    *,
    ports: str | None = None,
    level: int | None = None,
    authorized_by: str | None = None,
    rate: float | None = None,
) -> ScanRequest:
    """What has to be measured to judge all of it: each declared address, on the commonest ports and on those that are named."""
    area = needed_area(policy)
    if not area:
        hint = 'declare what is yours: [[zone]] with targets = ["192.0.2.0/26"]'
        raise UserError("the policy declares nothing that could be measured", where=policy.file, hint=hint)
    named = ports or (PortSet(tcp=tuple((p, p) for p in top_ports(COMMON_PORTS, "tcp"))) | asserted_ports(policy)).text()
    return ScanRequest(area.cidrs(), ports=named, level=level, authorized_by=authorized_by, rate=rate)


def prepare_check(store: Store, settings: Settings, request: ScanRequest, now: float, *, policy: Policy | None) -> Prepared:
    """Authorise and plan, as for a scan; a refusal says how to repeat this command, not the long one that it stands for."""
    try:
        return prepare_scan(store, settings, request, now, policy=policy)
    except Refused as refused:
        if refused.hint and "--authorized-by" in refused.hint:
            refused.hint = 'if its owner allowed it, say who and repeat:\nreconshield check --authorized-by "NAME"'
        raise


def needed_area(policy: Policy) -> AddressSet:
    """Every zone and asset, and the addresses that entries name; of IPv6 networks that are too large, the assets in them."""
    area = asserted_area(policy, ())
    for entry in policy.assertions:
        if entry.places:
            area |= asserted_area(policy, entry.places)
    return area


def asserted_ports(policy: Policy) -> PortSet:
    ports = PortSet()
    for entry in policy.assertions:
        ports |= entry.port_set or entry.usual
    return ports


def check_run(store: Store, run_text: str, policy: Policy, now: float, *, strict: bool = False) -> Checked:
    """Judge a stored run, or an import, as of now: what has expired by today has expired. `run_text` is as in `load_result`."""
    run = find_run(store, run_text)
    context = load_context(store, run, policy, now, new_only=True)
    assert context.judgement is not None  # noqa: S101 - there is a policy
    judgement = context.judgement

    def verdicts(*kinds: Kind) -> Iterator[RatedVerdict]:
        return (rate_verdict(context, verdict, now) for verdict in judgement.verdicts(*kinds))

    return Checked(load_head(run), policy.file, judgement.counts(), strict, verdicts)


def rate_verdict(context: Context, verdict: Verdict, now: float) -> RatedVerdict:
    """A verdict on an open endpoint with the risk it has there."""
    ends = getattr(verdict.entry, "ends", None)
    late = int((now - ends) // DAY) if verdict.kind == "expired" and ends is not None else None
    if verdict.finding is not None:
        return RatedVerdict(verdict, verdict.finding.risk, late)
    return RatedVerdict(verdict, context.rate(verdict.service).risk if verdict.service else None, late)
