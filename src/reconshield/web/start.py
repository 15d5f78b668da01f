"""Start a measurement from a page: prepared as on the command line, no address exempt from grants, in the background."""

from __future__ import annotations

from dataclasses import replace

from reconshield.jobs.scan import Prepared, prepare_scan
from reconshield.jobs.scan_request import ScanRequest
from reconshield.web.call import Call


def prepare(call: Call, request: ScanRequest) -> Prepared:
    """Authorise and plan. What the visitor may not measure is refused, and the refusal is in the audit log under their name."""
    mine = replace(request, exempt_own=False, actor=call.actor, authorized_by=None)
    return prepare_scan(call.store, call.settings, mine, call.now, policy=call.policy()[0])


def start(call: Call, request: ScanRequest) -> str:
    """The id of the run that has begun."""
    return call.site.live.start(call.store, prepare(call, request), call.actor)
