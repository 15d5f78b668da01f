"""Grants that visitors made for their own address at `/me`: nobody else measures with them."""

from __future__ import annotations

from reconshield.scope import Grant

REASON = "asked for at /me"


def is_of_visitor(grant: Grant) -> bool:
    return grant.reason == REASON
