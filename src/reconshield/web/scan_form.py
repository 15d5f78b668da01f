"""The form of a scan: what was typed, kept as text, and the request that it means. In `start` nothing is exempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconshield.errors import UserError
from reconshield.jobs.dry_run import held_ports, packets_text, plan_data
from reconshield.jobs.scan import Prepared
from reconshield.jobs.scan_request import ScanRequest, sending_rate
from reconshield.knowledge.records import CLUSTERS
from reconshield.store.runs import Run
from reconshield.web.call import Call
from reconshield.web.targets import read_target_lines

MOST_TARGETS_TEXT, MOST_PORTS_TEXT = 200_000, 40_000
CAPITALS = {"ot": "OT", "vpn": "VPN", "p2p": "P2P"}
LEVELS = (("", "as far as the grants go"), ("2", "2, port scan"), ("3", "3, identify"), ("4", "4, assess"))
MANNERS = (("polite", "polite, at most 500/s"), ("normal", "normal, at most 25,000/s"), ("fast", "fast, no ceiling"))
ENGINES = (("auto", "auto"), ("raw", "raw packets"), ("connect", "connections"))


@dataclass(frozen=True, slots=True)
class ScanForm:
    """The fields as they were typed."""

    targets: str = ""
    exclude: str = ""
    ports: str = ""
    cluster: str = ""
    top: str = ""
    udp: bool = False
    level: str = ""
    manner: str = "normal"
    engine: str = "auto"
    bearable: bool = False
    """Somebody says that the path bears a scan without a ceiling."""


def read_form(call: Call) -> ScanForm:
    return ScanForm(
        targets=call.text("targets", MOST_TARGETS_TEXT),
        exclude=call.text("exclude", MOST_TARGETS_TEXT),
        ports=call.text("ports", MOST_PORTS_TEXT),
        cluster=call.text("cluster", 40),
        top=call.text("top", 10),
        udp=call.ticked("udp"),
        level=call.text("level", 4),
        manner=call.text("manner", 10) or "normal",
        engine=call.text("engine", 10) or "auto",
        bearable=call.ticked("bearable"),
    )


def form_of(run: Run, ports: str, host: str | None = None) -> ScanForm:
    """The form that would measure an earlier run's targets again, or one host of it."""
    targets = [host] if host else run.options.get("targets", ())
    exclude = () if host else run.options.get("exclude", ())
    level = str(run.level) if run.level in {2, 3, 4} else ""
    return ScanForm(targets="\n".join(targets), exclude="\n".join(exclude), ports=ports, level=level)


def request_of(form: ScanForm) -> ScanRequest:
    """What the form asks for. Raises UserError that names the field in `where`."""
    chosen = [name for name, value in (("ports", form.ports or form.cluster), ("top", form.top)) if value]
    if len(chosen) > 1:
        raise UserError("name ports or ask for the most common, not both", where=f"top {form.top}", hint="leave one empty")
    ports = ",".join(part for part in (form.ports, cluster_text(form.cluster)) if part)
    one_of("level", form.level, [value for value, _ in LEVELS])
    one_of("manner", form.manner, [value for value, _ in MANNERS])
    one_of("engine", form.engine, [value for value, _ in ENGINES])
    if form.manner == "fast" and not form.bearable:
        hint = "tick that the path bears it, or choose normal"
        raise UserError("fast sends as much as this machine can", where="manner fast", hint=hint)
    return ScanRequest(
        targets=read_target_lines(form.targets, "targets"),
        exclude=read_target_lines(form.exclude, "exclude"),
        ports=ports or None,
        top=read_top(form.top),
        udp=form.udp,
        level=int(form.level) if form.level else None,
        engine=form.engine,
        manner=form.manner,
    )


def cluster_text(cluster: str) -> str:
    if cluster:
        one_of("cluster", cluster, CLUSTERS)
    return f"@{cluster}" if cluster else ""


def read_top(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65_535):
        raise UserError("this must be a whole number from 1 to 65,535", where=f"top {text}", hint="100")
    return int(text)


def one_of(name: str, value: str, known: Any) -> None:
    if value not in known:
        raise UserError(f"there is no such {name}", where=f"{name} {value[:40]}", hint="choose one of the list")


def form_values(form: ScanForm, error: UserError | None = None) -> dict[str, Any]:
    """What the template of the form prints. `wrong` is the field that the mistake is about, as far as it can be told."""
    named = [(name, CAPITALS.get(name, name.replace("-", " ").capitalize())) for name in sorted(CLUSTERS)]
    return {
        "form": form,
        "error": error,
        "wrong": wrong_field(form, error) if error else "",
        "clusters": [("", "none"), *named],
        "levels": LEVELS,
        "manners": MANNERS,
        "engines": ENGINES,
    }


def wrong_field(form: ScanForm, error: UserError) -> str:
    """`-p 70000` is about the ports, a line of the targets about them; the fields of this module name themselves."""
    where = error.where or ""
    first = where.partition(" ")[0].lstrip("-")
    first = {"p": "ports", "authorized-by": "targets", "scan": "targets"}.get(first, first)
    if first in ScanForm.__slots__:
        return first
    lines = {line.partition("#")[0].strip() for line in form.targets.splitlines()}
    return "targets" if where in lines else "exclude" if where and where in form.exclude else ""


def plan_values(prepared: Prepared, warning: str | None) -> dict[str, Any]:
    """What would be sent, as a dry run of the command line says it."""
    ports = prepared.plan.ports
    return {
        "plan": plan_data(prepared),
        "packets": packets_text(prepared),
        "rate": sending_rate(prepared.targets, prepared.options, ports),
        "held": held_ports(prepared),
        "targets": prepared.targets,
        "left_out": prepared.left_out,
        "engine_note": prepared.engine_note,
        "warning": warning,
        "patience": prepared.options.patience if ports.udp else None,
    }
