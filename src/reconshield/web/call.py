"""One request, as pages and the API see it: who asks, in which workspace, with what, at what time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING

from fastapi import Request
from starlette.datastructures import UploadFile

from reconshield.access import Role, Visitor
from reconshield.addresses import AddressSet
from reconshield.errors import UserError
from reconshield.jobs.live import LiveScans
from reconshield.settings import Settings
from reconshield.store.db import Store
from reconshield.web.kept import KeptReports

if TYPE_CHECKING:
    from reconshield.policy import Policy

MOST_TEXT = 4096
"""Characters of one field, unless a page says that it takes more."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the app is made of; one for a process. `secure` says that people reach it by TLS only."""

    settings: Settings
    store: Store
    live: LiveScans
    proxies: AddressSet = field(default_factory=AddressSet)
    secure: bool = False
    names: frozenset[str] | None = None
    """Host names under which the app answers; None: whatever a request says."""
    scan_me: bool = False
    policy_file: Path | None = None
    reports: KeptReports = field(default_factory=KeptReports)
    secret: bytes = field(default_factory=lambda: token_bytes(32), repr=False)
    """Signs what the app gives to browsers for the length of its life."""
    clock: Callable[[], float] = time.time

    def store_of(self, workspace: str) -> Store:
        """The database as a workspace sees it: no question asked of it can reach another one's rows."""
        return replace(self.store, workspace=workspace)

    def settings_of(self, workspace: str) -> Settings:
        return replace(self.settings, workspace=workspace)

    def policy_path(self, workspace: str) -> Path:
        """The policy file of a workspace: that of the command line for its own, a file of its own for any other."""
        if workspace == self.settings.workspace:
            return self.policy_file or self.settings.home / "reconshield.toml"
        return self.settings.home / "workspaces" / workspace / "reconshield.toml"


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `visitor` is None only on pages that anybody may see; `form` has what was sent, each field's last value."""

    site: Site
    request: Request
    visitor: Visitor | None
    client: str
    now: float
    form: Mapping[str, str] = field(default_factory=dict)
    uploads: Mapping[str, tuple[UploadFile, ...]] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body: bytes = b""
    """What came instead of a form: a document for the API."""

    @property
    def who(self) -> Visitor:
        """The visitor of a page that wants one."""
        if self.visitor is None:
            raise RuntimeError("a page without a door asked who is there")
        return self.visitor

    @property
    def actor(self) -> str:
        """The name in the audit log."""
        return f"account:{self.who.account}"

    @property
    def store(self) -> Store:
        return self.site.store_of(self.who.workspace)

    @property
    def settings(self) -> Settings:
        return self.site.settings_of(self.who.workspace)

    @property
    def at_home(self) -> bool:
        """Whether this is the workspace of who runs the server; what is about the server itself is for it alone."""
        return self.who.workspace == self.site.settings.workspace

    def may(self, role: str) -> bool:
        """Whether the visitor's role covers this one; what it may not do, a page does not offer."""
        return self.visitor is not None and self.visitor.role.covers(Role(role))

    def policy(self) -> tuple[Policy | None, str | None]:
        """The policy of this workspace, and why it is not used where it has an error."""
        from reconshield.web.policies import current_policy

        return current_policy(self.site.policy_path(self.who.workspace))

    def text(self, name: str, most: int = MOST_TEXT) -> str:
        """A field of the form, without the blanks around it; empty when it was not sent."""
        value = self.form.get(name, "").strip()
        if len(value) > most:
            raise UserError(f"this field takes {most:,} characters at most", where=name, hint="shorten it")
        return value

    def number(self, name: str, low: int, high: int) -> int | None:
        """A whole number of the form; None when the field was left empty."""
        value = self.text(name, 40)
        if not value:
            return None
        if not (value.isascii() and value.isdecimal() and low <= int(value) <= high):
            raise UserError(
                f"this must be a whole number from {low:,} to {high:,}", where=f"{name} {value[:40]}", hint=str(low)
            )
        return int(value)

    def ticked(self, name: str) -> bool:
        return name in self.form
