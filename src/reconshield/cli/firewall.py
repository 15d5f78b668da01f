"""`reconshield firewall`: what a firewall does and what it should do. Each verb has its own file."""

from __future__ import annotations

import typer

from reconshield.cli import firewall_evaluate, firewall_explain

app = typer.Typer(name="firewall", no_args_is_help=True, help="What the rules of a firewall do: judged, explained.")
app.command("evaluate")(firewall_evaluate.evaluate)
app.command("explain")(firewall_explain.explain)
