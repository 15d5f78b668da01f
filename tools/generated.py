"""Writes the files that are made from the code; --check says which of them are stale. For `make fix` and `make check`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer.main

from reconshield.alert.channels import CHANNELS
from reconshield.checks.rules import CHECKS
from reconshield.cli.main import make_app
from reconshield.identify.probes import PROBES
from reconshield.knowledge.catalog import json_schema as service_schema
from reconshield.knowledge.describe import fill_blocks
from reconshield.knowledge.export import SCHEMA, catalogue_schema
from reconshield.knowledge.payloads import all_payloads, unasked
from reconshield.policy import json_schema as policy_schema
from reconshield.report.schema import jsonl_schema
from reconshield.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[1]
SENT = ROOT / "tests" / "identify" / "sent.json"
SENT_SHOWN = 240
SENT_TEXT = """Bytes that are not printable are written `\\xNN`, the target's name or address `{host}`. A probe that is not
listed only reads what the server says unasked. The whole table, byte by byte, is `tests/identify/sent.json`; a test leads every
probe against silence, an echo, all recordings and mangled answers, and fails when anything else is sent. Beside these messages
a TLS ClientHello is sent where TLS is tried, and at level 4 one for each version of TLS. Over UDP an unanswered message is sent
twice.

"""
NOTICE = "<!-- Made from the code by `make fix`; edits here are lost. -->\n\n"


def checks_page() -> str:
    """Every check: what it looks for, how bad it is, how to mend it, what would refute it."""
    lines = [NOTICE, "# Checks\n\n", "A check judges stored facts; it sends nothing. `{service}` stands for the service id.\n"]
    for check in CHECKS:
        lines.append(f"\n## `{check.id}`\n\n{check.title}. Severity: {check.severity.value}.\n\n- Mend: {check.remedy}.\n")
        lines.append(f"- Refuted if {check.refuted}.\n")
        if check.attack:
            lines.append(f"- ATT&CK: {', '.join(check.attack)}.\n")
        if check.references:
            lines.append(f"- Sources: {', '.join(check.references)}.\n")
    return "".join(lines)


def probes_page() -> str:
    """Every probe: its protocol, transport and usual ports, and whether it asks more at level 4."""
    head = "| probe | transport | usual ports | server greets | asks more at level 4 |\n|---|---|---|---|---|\n"
    rows = (
        f"| {p.name} | {p.transport} | {', '.join(map(str, p.ports))} | {_yes(p.speaks_first)} | {_yes(bool(p.assess))} |\n"
        for p in PROBES
    )
    text = "Every protocol that is recognised by its own dialogue, on any port, in clear or inside TLS.\n\n"
    return NOTICE + "# Probes\n\n" + text + head + "".join(rows) + sent_section()


def sent_section() -> str:
    """What the probes send, from the table to which a test holds them."""
    listed = json.loads(SENT.read_text(encoding="utf-8"))
    lines = ["\n## What each probe sends\n\n", SENT_TEXT, "| probe | from level | what is sent |\n|---|---|---|\n"]
    for row in sorted(listed, key=lambda row: (row["probe"], row.get("transport", ""), row["level"])):
        name = f"{row['probe']} (udp)" if row.get("transport") == "udp" else row["probe"]
        what = _shown(row["sent"]) if "sent" in row else f"{row['why']} (varies)"
        lines.append(f"| {name} | {row['level']} | {what} |\n")
    return "".join(lines)


def _shown(message: str) -> str:
    """A message as it stands in the table, cut where it is long."""
    cut = message if len(message) <= SENT_SHOWN else f"{message[:SENT_SHOWN]}… ({len(message):,} characters in all)"
    return "`` " + cut.replace("|", "\\|") + " ``"


def channels_page() -> str:
    """Every kind of channel with the settings it takes."""
    text = "What a `[[channel]]` of the policy takes beside `name` and `kind`. Secrets are written `env:NAME` or `file:PATH`.\n"
    lines = [NOTICE, "# Channels\n\n", text]
    for channel in CHANNELS:
        lines.append(f"\n## `{channel.name}`\n\n{channel.title[:1].upper()}{channel.title[1:]}.\n\n")
        lines.append("| setting | default | what it is |\n|---|---|---|\n")
        for field in channel.fields:
            default = "(required)" if field.required else f"`{field.default}`" if field.default else "(none)"
            choices = f": {', '.join(f'`{choice}`' for choice in field.choices)}" if field.choices else ""
            lines.append(f"| `{field.name}` | {default} | {field.help}{choices}{'; a secret' if field.secret else ''} |\n")
    return "".join(lines)


def settings_page() -> str:
    """Every setting with its default and the variable that sets it."""
    head = "| in config.toml | in the environment | default | what it is |\n|---|---|---|---|\n"
    rows = (f"| `{s.name}` | `{s.variable}` | `{s.default or '(none)'}` | {s.help} |\n" for s in SETTINGS)
    text = "`config.toml` lies in the home directory (`--home`, `RECONSHIELD_HOME`, else `~/.local/share/reconshield`).\n\n"
    return NOTICE + "# Settings\n\n" + text + head + "".join(rows)


def payloads_page() -> str:
    """What the scan sends to UDP ports."""
    text = (
        "What `reconshield scan -p U:…` sends to learn whether something answers: one datagram, and at most two repetitions.\n"
        "Every other port gets an empty datagram; below its level a port of this table too. Held-back ports get nothing.\n"
        "`answer` is the largest that the protocol, or its documented use, gives back.\n\n"
    )
    head = "| payload | UDP ports | from level | asks | bytes | answer | specified in |\n|---|---|---|---|---|---|---|\n"
    rows = [
        f"| {p.name} | {', '.join(map(str, p.ports))} | {p.level} | {p.asks} | {len(p.data)} | {p.answer} | {p.spec} |\n"
        for p in all_payloads()
    ]
    silent = ["\nServices that get an empty datagram, and why:\n\n| UDP port | because |\n|---|---|\n"]
    silent += [f"| {port} | {why} |\n" for port, why in sorted(unasked().items())]
    return NOTICE + "# UDP payloads\n\n" + text + head + "".join(rows + silent)


def commands_page() -> str:
    """The help of every verb, as the program prints it."""
    lines = [NOTICE, "# Commands\n"]
    for path, text in _helps(typer.main.get_command(make_app()), "reconshield"):
        lines.append(f"\n## `{path}`\n\n```text\n{text.rstrip()}\n```\n")
    return "".join(lines)


def _helps(command: Any, path: str) -> Iterator[tuple[str, str]]:
    context = command.make_context(path, [], resilient_parsing=True)
    context.terminal_width = context.max_content_width = 100
    yield path, "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    for name in sorted(getattr(command, "commands", {})):
        yield from _helps(command.commands[name], f"{path} {name}")


def _yes(value: bool) -> str:
    return "yes" if value else ""


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


GENERATED: dict[str, Callable[[], str]] = {
    "docs/checks.md": checks_page,
    "docs/probes.md": probes_page,
    "docs/settings.md": settings_page,
    "docs/channels.md": channels_page,
    "docs/commands.md": commands_page,
    "docs/udp-payloads.md": payloads_page,
    "docs/schema/jsonl-1.schema.json": lambda: _json(jsonl_schema()),
    "docs/catalogue.md": lambda: fill_blocks((ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")),
    f"docs/schema/{SCHEMA}": lambda: _json(catalogue_schema()),
    "docs/schema/service.schema.json": lambda: _json(service_schema()),
    "docs/schema/policy-1.schema.json": lambda: _json(policy_schema()),
}


def main() -> int:
    """Write, or compare with --check; the number of stale files as exit code."""
    stale = []
    for name, make in GENERATED.items():
        path, text = ROOT / name, make()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv[1:]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {name}\n")
    if "--check" in sys.argv[1:]:
        sys.stdout.writelines(f"stale: {name} (run: make fix)\n" for name in stale)
        return len(stale)
    return 0


if __name__ == "__main__":
    sys.exit(main())
