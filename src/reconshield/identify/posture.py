"""What goes further than finding the protocol, at level 4: a probe's `assess`, and a sweep over the versions of TLS.

A sweep asks for each version on a connection of its own, spaced. On a STARTTLS service the probe's own dialogue leads up to the
point where TLS would begin, and our hello takes its place there, so no second table of preambles is needed.
"""

from __future__ import annotations

import asyncio

from reconshield.identify.conversation import ProbeBug
from reconshield.identify.inquiry import Inquiry
from reconshield.identify.own_hello import say_hello
from reconshield.identify.probe import Probe
from reconshield.identify.tls import describe_answer
from reconshield.identify.tls_hello import Answer, judge_version
from reconshield.identify.tls_names import VERSIONS
from reconshield.identify.wire import Wire

OFFERED = ("h2", "http/1.1")


async def assess(inquiry: Inquiry) -> None:
    """Level 4: the probe's second dialogue, then the TLS versions. Adds to the facts of the match and of TLS."""
    inquiry.budget = inquiry.kit.limits.more_connections
    inquiry.deadline = asyncio.get_running_loop().time() + inquiry.kit.limits.endpoint_seconds
    try:
        if inquiry.match and inquiry.probe and inquiry.probe.assess:
            await ask_further(inquiry, inquiry.probe)
        if inquiry.endpoint.transport == "tcp" and (inquiry.tls_facts is not None or inquiry.starttls is not None):
            await sweep(inquiry)
    finally:
        await inquiry.leave()


async def ask_further(inquiry: Inquiry, probe: Probe) -> None:
    conversation = await inquiry.open(tls=inquiry.tls_facts is not None)
    if conversation is None or inquiry.match is None or probe.assess is None:
        return
    conversation.patience = inquiry.kit.limits.turn_seconds
    try:
        outcome = await conversation.hold(probe.name, probe.assess(inquiry.match))
    except ProbeBug as bug:
        if inquiry.kit.limits.strict:
            raise
        inquiry.notes.append(f"{bug} (a bug of ours)")
        return
    inquiry.keep(outcome.turns)
    if outcome.match is not None:
        inquiry.match = outcome.match


async def sweep(inquiry: Inquiry) -> None:
    """`versions` into the TLS facts; the chain too, where the session could not show it."""
    upgrade = inquiry.probe if inquiry.tls_facts is None else None
    facts = inquiry.tls_facts if inquiry.tls_facts is not None else inquiry.starttls
    if facts is None:
        return
    versions: dict[str, str] = {}
    for version, label in VERSIONS.items():
        if versions:
            await asyncio.sleep(inquiry.kit.limits.spacing)
        answer = await try_version(inquiry, version, upgrade)
        if answer is None:
            continue
        versions[label] = judge_version(version, answer)
        if answer.version is not None:
            for key, value in describe_answer(answer).items():
                facts.setdefault(key, value)
    facts["versions"] = versions


async def try_version(inquiry: Inquiry, version: int, upgrade: Probe | None) -> Answer | None:
    """One connection, one hello; None when no connection could be had."""
    conversation = await inquiry.open(tls=False)
    if conversation is None:
        return None
    try:
        if upgrade is not None:
            conversation.patience = inquiry.kit.limits.turn_seconds
            if not await conversation.lead_to_tls(upgrade.name, upgrade.run()):
                return None
        if not isinstance(conversation.line, Wire):
            return None
        alpn = OFFERED if version >= 0x0303 and upgrade is None else ()
        return await say_hello(conversation.line, version, inquiry.name, inquiry.deadline, alpn)
    finally:
        conversation.close()
