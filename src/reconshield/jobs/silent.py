"""UDP ports that kept silent are asked by the probes, where the request covers few of them.

A port scan asks each UDP port one question, that of its usual protocol. A server of another protocol keeps silent to it, so a
DNS server on port 5301 looks like nothing at all. Asking every silent port everything would take for ever; but who names a
handful of ports wants to know. So: at most `MOST` UDP endpoints in the plan, and each silent one is asked as an open one would
be, within the same budget. What answers is open; what does not stays `open|filtered`.
"""

from __future__ import annotations

from reconshield.addresses.intervals import count
from reconshield.model import Endpoint, Observation, Reason, Rung, Service, State, Transport
from reconshield.scan.batch import Batch, address_text, from_records
from reconshield.scan.plan import Plan
from reconshield.store.db import Store
from reconshield.store.observations import add_answer, blocks_done, load_observations

MOST = 256
"""One host with 256 silent ports takes about two minutes, at 16 conversations at once."""


def find_silent(store: Store, run_id: str, plan: Plan) -> list[Endpoint]:
    """The measured UDP endpoints of a small plan that gave no answer of any kind."""
    if not 0 < plan.targets.count * count(plan.ports.udp) <= MOST:
        return []
    answered = load_observations(store, run_id)
    answered = answered[answered["transport"] == Transport.UDP]
    known = set(zip(answered["hi"].tolist(), answered["lo"].tolist(), answered["port"].tolist(), strict=True))
    silent = []
    for block in sorted(blocks_done(store, run_id)):
        pairs = plan.pairs(block).only(Transport.UDP)
        measured = zip(pairs.hi.tolist(), pairs.lo.tolist(), pairs.port.tolist(), strict=True)
        silent += [Endpoint(address_text(hi, lo), port, "udp") for hi, lo, port in measured if (hi, lo, port) not in known]
    return silent


def open_late(store: Store, run_id: str, plan: Plan, service: Service) -> Batch | None:
    """Keep an endpoint as open because a probe was answered, and give its observation; None when nothing came back."""
    if service.rung is Rung.SYN_ACK:
        return None
    seen = from_records([Observation(service.endpoint, State.OPEN, Reason.UDP_RESPONSE, service.at)])
    [block] = plan.block_of(seen["hi"], seen["lo"], seen["port"], seen["transport"])
    add_answer(store, run_id, int(block), seen)
    return seen
