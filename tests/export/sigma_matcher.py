"""Sigma rules, read by pySigma and asked about one event each: what a SIEM would find."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from sigma.collection import SigmaCollection
from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionOR
from sigma.rule import SigmaRule
from sigma.types import SigmaCIDRExpression, SigmaCompareExpression, SigmaNull, SigmaNumber, SigmaString

from export.traffic import Flow

Event = Mapping[str, Any]


def read_rules(text: str) -> list[SigmaRule]:
    """Every document as a rule; pySigma's complaints are errors."""
    collection = SigmaCollection.from_yaml(text)
    assert not collection.errors
    return [rule for rule in collection.rules if isinstance(rule, SigmaRule)]


def conditions_of(rule: SigmaRule) -> list[Any]:
    return [condition.parsed for condition in rule.detection.parsed_condition]


def event_of(flow: Flow) -> Event:
    """A line of conn.log as JSON: what was not seen is not there."""
    event: dict[str, Any] = {"id.orig_h": flow.src, "id.resp_h": flow.dst, "id.resp_p": flow.port, "proto": flow.transport}
    event["id.orig_p"] = flow.sender_port
    return event | ({"service": flow.service} if flow.service else {})


def matches(condition: Any, event: Event) -> bool:
    if isinstance(condition, ConditionAND):
        return all(matches(part, event) for part in condition.args)
    if isinstance(condition, ConditionOR):
        return any(matches(part, event) for part in condition.args)
    if isinstance(condition, ConditionNOT):
        return not matches(condition.args[0], event)
    assert isinstance(condition, ConditionFieldEqualsValueExpression), condition
    return value_matches(condition.value, event.get(condition.field))


def value_matches(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, SigmaNull):
        return found is None
    if found is None:
        return False
    if isinstance(wanted, SigmaCIDRExpression):
        return ip_address(found) in ip_network(wanted.cidr)
    if isinstance(wanted, SigmaCompareExpression):
        compare = {"GTE": int.__ge__, "LTE": int.__le__}[wanted.op.name]
        return compare(int(found), int(wanted.number.number))
    if isinstance(wanted, SigmaNumber):
        return int(found) == int(wanted.number)
    assert isinstance(wanted, SigmaString), wanted
    return re.fullmatch(str(wanted.to_regex().regexp), str(found), re.IGNORECASE | re.DOTALL) is not None
