"""A profile as data and as Markdown. The terminal's text is in `terminal`; all are made from the same sections."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from reconshield.knowledge.profile import Profile
from reconshield.knowledge.records import EndpointEntry
from reconshield.knowledge.risk import MAXIMA, arithmetic, border_note, risk_data
from reconshield.knowledge.sections import sections_of

HEADINGS = {
    "understand": "Understanding",
    "abuse": "Common configuration abuse",
    "implications": "Security implications",
    "firewall": "Firewall",
    "vpn": "VPN or proxy in front",
    "harden": "Hardening",
    "replace": "Secure replacement",
    "monitor": "Monitoring",
    "malware": "Malware and tools seen on this service's ports",
    "vulnerabilities": "Vulnerabilities that mattered",
}


def profile_data(profile: Profile) -> dict[str, Any]:
    """A profile as `port --json` prints it."""
    return {
        "port": profile.port,
        "transport": profile.transport,
        "service": profile.service,
        "name": profile.name,
        "registered": {transport: list(names) for transport, names in profile.registered.items()},
        "risk": risk_data(profile.risk, profile.would_lower),
        "sections": sections_of(profile),
    }


def registered_text(profile: Profile) -> str:
    """`pop3 on tcp and udp (IANA)`, `nothing (IANA)`."""
    tcp, udp = (", ".join(profile.registered[name]) for name in ("tcp", "udp"))
    if tcp == udp:
        return f"{tcp} on tcp and udp (IANA)" if tcp else "nothing (IANA)"
    return " and ".join(f"{names} on {name}" for names, name in ((tcp, "tcp"), (udp, "udp")) if names) + " (IANA)"


def in_use_text(profile: Profile) -> str:
    """The transports in use, and of a registered one that nobody is known to use, that: `tcp; no use known on udp`."""
    if len(profile.in_use) != 1:
        return " and ".join(profile.in_use) or "nothing documented"
    used = profile.in_use[0]
    other = "udp" if used == "tcp" else "tcp"
    return f"{used}; no use known on {other}" if profile.registered[other] else used


def tls_text(tls: str) -> str:
    return {"none": "none", "starttls": "starttls, an upgrade", "implicit": "from the first byte"}[tls]


def twin_text(profile: Profile) -> str:
    """The port of the TLS form: `995/tcp, TLS from first byte`; empty where there is none."""
    if profile.entry is None or profile.endpoint is None or profile.endpoint.twin is None:
        return ""
    twin = next(row for row in profile.entry.endpoint if row.port == profile.endpoint.twin)
    return f"{twin.port}/{twin.transport}, " + ("TLS from first byte" if twin.tls == "implicit" else "the TLS form")


def markdown(profile: Profile) -> str:
    """The whole profile as one Markdown page."""
    sections = sections_of(profile)
    title = f"# {profile.port}/{profile.transport} {profile.name}"
    risk = profile.risk
    lines = [title, "", f"**{risk.rating.capitalize()}, {risk.score} of 100.** {profile.answer}{_mark(sections['answer'])}", ""]
    lines += _facts(profile)
    lines += ["", "## Risk", "", f"`{arithmetic(risk)}`" + (f" ({note})" if (note := border_note(risk.score)) else ""), ""]
    lines += ["| factor | points | of | because | source |", "|---|--:|--:|---|---|"]
    lines += [f"| {row.name} | {row.points} | {MAXIMA[row.name]} | {row.because} | {row.source} |" for row in risk.factors]
    if profile.would_lower:
        lines += ["", "What would lower it:", ""]
        lines += [f"- {row.score} {row.rating}: {row.text} ({row.arithmetic})" for row in profile.would_lower]
    lines += _steps(sections) + _middle(sections) + _ends(sections)
    return "\n".join(lines).rstrip() + "\n"


def role_text(endpoint: EndpointEntry) -> str:
    """`mixed: public at some mail providers, internal elsewhere`, `never; use SSH forwarding`."""
    text = endpoint.role_text
    return text if re.match(rf"{endpoint.role}\b", text) else f"{endpoint.role}: {text}"


def _facts(profile: Profile) -> list[str]:
    rows = [("registered", registered_text(profile)), ("in use", in_use_text(profile))]
    if profile.endpoint:
        rows += [("TLS", tls_text(profile.endpoint.tls)), ("role", role_text(profile.endpoint))]
        rows += [("twin", twin)] if (twin := twin_text(profile)) else []
    else:
        rows += [("range", f"{profile.range.name}, {profile.range.low}–{profile.range.high}: {profile.range.meaning}")]
    return [f"- {name}: {value}" for name, value in rows]


def _steps(sections: dict[str, Any]) -> list[str]:
    rows = [f"{number}. {row['who']}: {claim_text(row)}" for number, row in enumerate(sections.get("do", ()), start=1)]
    return ["", "## Do this", "", *rows] if rows else []


def _middle(sections: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for name in ("understand", "abuse", "implications"):
        lines += _list(HEADINGS[name], sections.get(name, ()), "##")
    if defence := sections.get("defence"):
        lines += ["", "## Defence"]
        for name, rows in defence.items():
            lines += _list(HEADINGS[name], rows, "###")
    if rules := sections.get("rules"):
        lines += ["", "### Ready rules", "", "The networks are examples; put your own in their place."]
        for rule in rules:
            lines += [
                "",
                f"{rule['platform']}:",
                "",
                "```sh",
                rule["text"],
                "```",
                "",
                "Undo:",
                "",
                "```sh",
                rule["undo"],
                "```",
            ]
    return lines


def _ends(sections: dict[str, Any]) -> list[str]:
    check = sections["check"]
    lines = ["", "## Why scan, how to check", "", check["why"], "", *(f"- `{command}`" for command in check["commands"])]
    lines += [f"- {check['held_back']['text']}"] if "held_back" in check else []
    lines += [f"- {claim_text(row)}{_mark(row)}" for row in check.get("detect", ())]
    for name, rows in sections.get("intelligence", {}).items():
        lines += _list(HEADINGS[name], rows, "##")
    lines += _list("Questions", sections.get("faq", ()), "##")
    if related := sections.get("related"):
        lines += ["", "## Related ports", "", *(f"- {related_text(row)}" for row in related)]
    if sources := sections.get("sources"):
        lines += ["", "## Sources", "", *(f"- {source_text(row)}" for row in sources)]
    return [*lines, "", data_text(sections["data"])]


def _list(heading: str, rows: Iterable[dict[str, Any]], level: str) -> list[str]:
    items = [f"- {claim_text(row)}{_mark(row)}" for row in rows]
    return ["", f"{level} {heading}", "", *items] if items else []


def _mark(row: dict[str, Any]) -> str:
    return f" [{row['source']}]" if "source" in row else ""


def claim_text(row: dict[str, Any]) -> str:
    """Any record of a section as one sentence or two, with what its kind adds (look, technique, product, year)."""
    if "question" in row:
        text = f"{row['question']} {row['text']}"
    elif "setting" in row:
        product = " ".join(part for part in (row["product"], row.get("version")) if part)
        text = f"{product}: {row['file']}: {row['setting']}; check: {row['check']}" + (
            f". {row['text']}" if "text" in row else ""
        )
    elif "family" in row:
        ids = f" ({row['attack']})" if "attack" in row else ""
        text = f"{row['family']}{ids}, {row['year']}, port {row['port']}, tier {row['tier']}: {row['text']}"
    elif "cve" in row:
        note = "; used by ransomware" if row.get("ransomware") else ""
        note += f"; in KEV since {row['kev']}" if "kev" in row else ""
        note += f"; EPSS {row['epss']:.2f}" if "epss" in row else ""
        text = f"{row['cve']} ({row['vendor']} {row['product']}{note}): {row['text']}"
    elif "seen" in row:
        text = f"{row['text']} Seen from outside: {row['seen']} → {row['attack']}"
    else:
        text = row["text"]
    return f"{text} ({row['confidence']})" if "confidence" in row else str(text)


def related_text(row: dict[str, Any]) -> str:
    """`995/tcp POP3 over TLS: same mailboxes (28 low)`; a reason that begins with the name is not said twice."""
    rating = f" ({row['score']} {row['rating']})" if "score" in row else ""
    said = row["because"].lower().startswith(row["name"].split(" ")[0].lower())
    return f"{row['port']}/{row['transport']} " + ("" if said else f"{row['name']}: ") + f"{row['because']}{rating}"


def source_text(row: dict[str, Any]) -> str:
    """`[rfc1939] IETF, Post Office Protocol - Version 3, 1996-05-01, https://…`."""
    parts = [row["publisher"], row["title"], row.get("date", ""), row.get("url", "")]
    return f"[{row['id']}] " + ", ".join(part for part in parts if part)


def data_text(dates: dict[str, str]) -> str:
    return f"data  IANA {dates['iana']} · KEV {dates['kev']} · ATT&CK {dates['attack']}"
