"""A profile as one HTML page that needs nothing else: no script, no font, no other file.

The same sections as terminal and Markdown, in the same order; anchors are the names of the sections.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from reconshield.knowledge.profile import Profile
from reconshield.knowledge.render import (
    HEADINGS,
    claim_text,
    data_text,
    in_use_text,
    registered_text,
    related_text,
    tls_text,
    twin_text,
)
from reconshield.knowledge.risk import MAXIMA, arithmetic, border_note
from reconshield.knowledge.sections import sections_of

STYLE = """
:root{--bg:#fff;--surface:#f6f7f8;--text:#14191f;--muted:#56606b;--line:#d5dadf;--accent:#0a6471;
--critical:#b0124a;--high:#8c3800;--medium:#866700;--low:#3d5f84}
@media(prefers-color-scheme:dark){:root{--bg:#0f1317;--surface:#161b21;--text:#e7ebef;--muted:#9aa6b2;--line:#2c353f;
--accent:#54c3d1;--critical:#ff6f8f;--high:#f79a5a;--medium:#f2cf4a;--low:#86abd4}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main{max-width:68ch;margin:0 auto;padding:24px 16px 64px;overflow-wrap:anywhere}
h1{font-size:26px;line-height:1.25;margin:8px 0}h2{font-size:20px;line-height:1.25;margin:32px 0 8px}
h3{font-size:16px;margin:16px 0 4px}
a{color:var(--accent)}code,.m{font-family:ui-monospace,monospace;font-size:14px}
.rating{font-weight:600;border:1px solid;border-radius:6px;padding:2px 8px}
.critical{color:var(--critical)}.high{color:var(--high)}.medium{color:var(--medium)}.low{color:var(--low)}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:6px 8px;border-bottom:1px solid var(--line)}
td.n{text-align:right;white-space:nowrap}
th{overflow-wrap:normal}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 16px;margin:12px 0}dt{color:var(--muted)}dd{margin:0}
pre{background:var(--surface);padding:12px;border-radius:6px;overflow-x:auto;white-space:pre-wrap}
li{margin:6px 0}sup a{text-decoration:none}footer{margin-top:32px;color:var(--muted);font-size:14px}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media print{a{color:inherit}}
"""


def page_html(profiles: Sequence[Profile]) -> str:
    """One complete page: the first profile in full, then those of other transports and ports."""
    title = f"{profiles[0].port}/{profiles[0].transport} {profiles[0].name}"
    body = "\n".join(_article(profile, number) for number, profile in enumerate(profiles))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)} · ReconShield</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _article(profile: Profile, number: int) -> str:
    """One profile. Anchors of the second and following carry port and transport, so that each id is unique."""
    sections, tail = sections_of(profile), f"-{profile.port}-{profile.transport}" if number else ""
    risk = profile.risk
    name = escape(profile.name + (f", {profile.full_name}" if profile.full_name else ""))
    parts = [
        f'<h{1 + (number > 0)}><span class="m">{profile.port}/{profile.transport}</span> {name}</h{1 + (number > 0)}>',
        f'<p><span class="rating {risk.rating}">{risk.rating.capitalize()} {risk.score} of 100</span></p>',
        f"<p>{escape(profile.answer)}{_mark(sections['answer'], tail)}</p>",
        _facts(profile),
        _risk(profile, tail),
        *_steps(sections, tail),
    ]
    for key in ("understand", "abuse", "implications"):
        parts += _claims(HEADINGS[key], key, sections.get(key, ()), tail, 2)
    if defence := sections.get("defence"):
        parts.append(f'<h2 id="defence{tail}">Defence</h2>')
        for key, rows in defence.items():
            parts += _claims(HEADINGS[key], f"defence-{key}", rows, tail, 3)
    parts += _check(sections["check"], tail)
    for key, rows in sections.get("intelligence", {}).items():
        parts += _claims(HEADINGS[key], key, rows, tail, 2)
    parts += _questions(sections.get("faq", ()), tail)
    if related := sections.get("related"):
        parts += [f'<h2 id="related{tail}">Related ports</h2>', _list(escape(related_text(row)) for row in related)]
    parts += [f'<h2 id="sources{tail}">Sources</h2>', _list(_source(row, tail) for row in sections.get("sources", ()))]
    return "<article>\n" + "\n".join([*parts, f"<footer>{escape(data_text(sections['data']))}</footer>"]) + "\n</article>"


def _facts(profile: Profile) -> str:
    rows = [("Registered", registered_text(profile)), ("In use", in_use_text(profile))]
    if profile.endpoint:
        rows += [("TLS", tls_text(profile.endpoint.tls)), ("Twin", twin_text(profile))]
        rows += [("Role", f"{profile.endpoint.role}: {profile.endpoint.role_text}")]
    else:
        rows += [("Range", f"{profile.range.name}, {profile.range.low}–{profile.range.high}: {profile.range.meaning}")]
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in rows if value) + "</dl>"


def _risk(profile: Profile, tail: str) -> str:
    note = border_note(profile.risk.score)
    rows = "".join(
        f'<tr><th scope="row">{factor.name}</th><td class="n">{factor.points} of {MAXIMA[factor.name]}</td>'
        f"<td>{escape(factor.because)}{_mark({'source': factor.source}, tail)}</td></tr>"
        for factor in profile.risk.factors
    )
    head = '<tr><th scope="col">Factor</th><th scope="col">Points</th><th scope="col">Because</th></tr>'
    ways = [f"{way.score} {way.rating}: {escape(way.text)} ({escape(way.arithmetic)})" for way in profile.would_lower]
    return (
        f'<h2 id="risk{tail}">Risk</h2>\n<p><code>{arithmetic(profile.risk)}</code>{f" ({note})" if note else ""}</p>\n'
        f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>" + (f"\n<h3>Lower it</h3>\n{_list(ways)}" if ways else "")
    )


def _steps(sections: dict[str, Any], tail: str) -> list[str]:
    rows = [f"{row['who']}: {_code(row['text'])}{_mark(row, tail)}" for row in sections.get("do", ())]
    return [f'<h2 id="do{tail}">Do this</h2>', _list(rows, "ol")] if rows else []


def _claims(heading: str, anchor: str, rows: Iterable[dict[str, Any]], tail: str, level: int) -> list[str]:
    items = [_code(claim_text(row)) + _mark(row, tail) for row in rows]
    return [f'<h{level} id="{anchor}{tail}">{heading}</h{level}>', _list(items)] if items else []


def _check(check: dict[str, Any], tail: str) -> list[str]:
    commands = escape("\n".join(check["commands"]))
    notes = [escape(check["held_back"]["text"])] if "held_back" in check else []
    notes += [_code(claim_text(row)) + _mark(row, tail) for row in check.get("detect", ())]
    return [f'<h2 id="check{tail}">How to check</h2>', f"<pre>{commands}</pre>", *([_list(notes)] if notes else [])]


def _questions(rows: Iterable[dict[str, Any]], tail: str) -> list[str]:
    parts = [f"<h3>{escape(row['question'])}</h3>\n<p>{_code(row['text'])}{_mark(row, tail)}</p>" for row in rows]
    return [f'<h2 id="faq{tail}">Questions</h2>', *parts] if parts else []


def _list(items: Iterable[str], kind: str = "ul") -> str:
    return f"<{kind}>" + "".join(f"<li>{item}</li>" for item in items) + f"</{kind}>"


def _code(text: str) -> str:
    """Text between back-ticks as code; everything escaped."""
    parts = escape(text).split("`")
    if len(parts) % 2 == 0:
        return "`".join(parts)
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))


def _mark(row: dict[str, Any], tail: str) -> str:
    """A small mark that jumps to the source."""
    source = escape(row.get("source", ""))
    return f' <sup><a href="#source-{source}{tail}">[{source}]</a></sup>' if source else ""


def _source(row: dict[str, Any], tail: str) -> str:
    text = escape(", ".join(part for part in (row["publisher"], row["title"], row.get("date", "")) if part))
    link = f', <a href="{escape(row["url"])}">{escape(row["url"])}</a>' if row.get("url") else ""
    return f'<span id="source-{escape(row["id"])}{tail}">[{escape(row["id"])}] {text}{link}</span>'
