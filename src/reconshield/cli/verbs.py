"""Every verb, and where it lives: the module in this folder and its function, or its group of verbs.

A command loads its own module only; the order is that of the help.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import typer

VERBS: Mapping[str, tuple[str, str]] = {
    "port": ("port", "port"),
    "ports": ("port", "ports"),
    "catalogue": ("catalogue", "app"),
    "site": ("site", "app"),
    "intel": ("intel", "app"),
    "fingerprints": ("fingerprints", "app"),
    "firewall": ("firewall", "app"),
    "grant": ("grant", "app"),
    "policy": ("policy", "app"),
    "check": ("check", "check"),
    "exposures": ("exposures", "exposures"),
    "assets": ("exposures", "assets"),
    "letter": ("letter", "letter"),
    "scan": ("scan", "scan"),
    "runs": ("runs", "app"),
    "report": ("runs", "report"),
    "diff": ("runs", "diff"),
    "history": ("runs", "history"),
    "evidence": ("evidence", "evidence"),
    "rejudge": ("evidence", "rejudge"),
    "import": ("imports", "import_"),
    "monitor": ("monitor", "app"),
    "worker": ("monitor", "worker"),
    "alert": ("alert", "app"),
    "detect": ("detect", "app"),
    "serve": ("serve", "serve"),
    "account": ("account", "app"),
    "doctor": ("doctor", "doctor"),
}


def load_verb(name: str) -> typer.Typer | Callable[..., Any]:
    """The group or function of a verb."""
    module, attribute = VERBS[name]
    found: typer.Typer | Callable[..., Any] = getattr(import_module(f"reconshield.cli.{module}"), attribute)
    return found
