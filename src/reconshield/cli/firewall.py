"""`reconshield firewall`: what a firewall does and what it should do. Each verb has its own file."""

from __future__ import annotations

import typer

from reconshield.cli import firewall_advise, firewall_evaluate, firewall_explain, firewall_retire

app = typer.Typer(name="firewall", no_args_is_help=True, help="Rules for your firewall: advised, proved, judged, explained.")
app.command("advise")(firewall_advise.advise)
app.command("prove")(firewall_advise.prove)
app.command("evaluate")(firewall_evaluate.evaluate)
app.command("explain")(firewall_explain.explain)
app.command("retire")(firewall_retire.retire)
app.command("verify")(firewall_retire.verify)
