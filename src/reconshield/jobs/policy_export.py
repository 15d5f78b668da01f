"""Write what the policy says of traffic in the words of another tool (`policy export`)."""

from __future__ import annotations

from reconshield.errors import UserError
from reconshield.export.enclaves import Enclaves, describe
from reconshield.export.format import Format
from reconshield.export.formats import FORMATS
from reconshield.jobs.detect import catalogue_services
from reconshield.policy import Policy


def export_policy(policy: Policy, format_: str, now: float) -> str:
    """The whole text. An unknown format and a policy that says nothing of traffic are a `UserError`."""
    chosen = find_format(format_)
    return chosen.render(enclaves_of(policy, now))


def find_format(name: str) -> Format:
    found = next((each for each in FORMATS if each.name == name), None)
    if found is None:
        listed = ", ".join(each.name for each in FORMATS)
        raise UserError(f"unknown format {name!r}", where=f"--format {name}", hint=f"--format one of {listed}")
    return found


def enclaves_of(policy: Policy, now: float) -> Enclaves:
    """The gates of a policy with the ports that detection takes for its services."""
    return describe(policy, catalogue_services().ports_of, now)
