"""The HTML report: read back as a parser sees it, attacked with hostile text, its states as a table."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from big_run import big_run
from example_run import AT, IP, RESULT
from reconshield.knowledge.risk import UNKNOWN, endpoint_risk
from reconshield.model import Endpoint, Factor, Risk, Turn
from reconshield.report.answer import answer_text, find_exposures
from reconshield.report.html import html_text, style_sheet
from reconshield.report.html.charts import chart_counts, chart_factors, has_lowering
from reconshield.report.html.page import DETAILED, LISTED
from reconshield.report.result import Background, GrantNote, RunResult, SourceNote, Summary

VOID = {"meta", "br", "link", "img", "input", "hr", "wbr"}
LANDMARKS = {"header", "nav", "main", "footer"}


class Page(HTMLParser):
    """What a page holds: its tags with attributes, its text, and whether every tag is closed by its own end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"an attribute twice in {tag}"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def named(self, *names: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.tags if tag in names]


def page(result: RunResult = RESULT, *, with_evidence: bool = False) -> Page:
    return Page("".join(html_text(result, with_evidence=with_evidence)))


EMPTY = replace(
    RESULT,
    services=(),
    findings=(),
    held_back=(),
    observations=(),
    summary=Summary("complete", 65535, 65535, 0, 65535, 0, 0, 0, 0, 3.4),
)
PARTIAL = replace(RESULT, summary=replace(RESULT.summary, state="partial", measured=400, closed=393))
BACKGROUND = Background(
    grants=(
        GrantNote("g3", "J. Weber", ("10.77.0.0/16",), 3, AT, AT + 86400, ("10.77.0.9",), "yearly review", "noc@example.org"),
    ),
    refuted={"redis-no-auth": "the answer to PING is -NOAUTH"},
    sources={
        "rfc8314": SourceNote("Cleartext Considered Obsolete", "IETF", "2018-01", "https://www.rfc-editor.org/rfc/rfc8314")
    },
    techniques={"T1040": "Network Sniffing"},
    data=("IANA 2026-02-13",),
)
EVERY_STATE = {
    "full": RESULT,
    "empty": EMPTY,
    "partial": PARTIAL,
    "background": replace(RESULT, background=BACKGROUND),
    "big": big_run(1500),
}


@pytest.mark.parametrize("result", EVERY_STATE.values(), ids=EVERY_STATE)
def test_the_page_is_well_formed_and_reaches_nothing(result: RunResult) -> None:
    shown = page(result)
    assert shown.open == []
    ids = [attributes["id"] for _, attributes in shown.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [name for _, a in shown.tags for key in ("aria-labelledby",) if key in a for name in a[key].split()]
    jumps = [a["href"][1:] for a in shown.named("a") if a["href"].startswith("#")]
    assert set(named) | set(jumps) <= set(ids)
    assert {tag for tag, _ in shown.tags} >= LANDMARKS
    assert shown.named("script", "link", "img", "iframe", "object", "embed", "form", "base", "use", "image") == []
    assert not [key for _, a in shown.tags for key in a if key.startswith("on") or key in {"src", "style", "srcset"}]
    assert not re.search(r"url\(|@import|expression\(", style_sheet())


@pytest.mark.parametrize("result", EVERY_STATE.values(), ids=EVERY_STATE)
def test_headings_step_down_one_at_a_time(result: RunResult) -> None:
    levels = [int(tag[1]) for tag, _ in page(result).tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_the_policy_allows_this_style_and_nothing_else() -> None:
    text = page().source
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'; base-uri" in text.replace("&#39;", "'")


ORDER = (
    "20261123-094612-k3fd",
    "Exposure of 10.77.0.2",
    "1 address × 1,000 TCP ports",
    "connect engine, seed 7",
    "by J. Weber",
    "3, identify",
    "1 finding of critical severity, 1 of medium on 1 host; 5 endpoints open of 1,000 measured.",
    "Open endpoints by risk",
    "Findings by severity",
    "5 open endpoints, the worst first",
    "Critical 100 10.77.0.2:6379/tcp redis Redis 7.0.15 none 1 protocol",
    "Medium 44 10.77.0.2:22/tcp ssh OpenSSH 9.2p1 own 0 protocol",
    "Low 27 10.77.0.2:8443/tcp unknown 14 bytes kept none 0 bytes",
    "5 open of 1,000 measured, 0 not measured",
    "Redis answers without a password Severity Critical Confidence confirmed Seen PING got +PONG before any AUTH",
    "Mend redis.conf: bind 127.0.0.1 and a password",
    "Refuted if the answer to PING is -NOAUTH",
    "Check redis-no-auth · 0123456789abcdef",
    "85 base + 15 proven open = 100: critical (75 to 100)",
    "impact 85 what an abuser gains",
    "proven open + 15 an answer without a login",
    "ATT&CK T1040 Network Sniffing Sources rfc8314",
    "First step sshd_config: PasswordAuthentication no",
    "1,000 of 1,000 planned endpoints measured",
    "closed 993 99.3 % the host answered that nothing listens",
    "not measured 0 0 %",
    "Held back, no byte was sent (print: a byte sent here is printed, reconshield): 10.77.0.2:9100/tcp",
    "Loss was not measured.",
    "Allowed by J. Weber Targets 10.77.0.0/16 Never 10.77.0.9 Level 3, identify",
    "Reason yearly review Contact noc@example.org",
    "Severity the harm if a finding is true",
    "rfc8314 IETF: Cleartext Considered Obsolete, 2018-01 https://www.rfc-editor.org/rfc/rfc8314",
    "data IANA 2026-02-13",
)


def test_the_contents_stand_in_their_order() -> None:
    risk = RESULT.findings[1].risk
    assert risk
    proven = replace(RESULT.services[1], risk=risk)
    services = (RESULT.services[0], proven, *RESULT.services[2:])
    text = page(replace(RESULT, services=services, background=BACKGROUND)).text
    at = 0
    for part in ORDER:
        place = text.find(part, at)
        assert place >= 0, f"missing after {text[at : at + 60]!r}: {part!r}"
        at = max(at, place)


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "</title><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "\x1b[2Jgone\x00\u202egnp.exe\u2028\ud800\ufdd0",
    "`code` <b>&amp;",
    "A" * 5000,
)


def everywhere(text: str) -> RunResult:
    """A run with this text in every field that holds text from outside."""
    first = RESULT.services[0]
    service = replace(first.service, product=text, version=text, note=text, others=(text,), name=text)
    service = replace(service, evidence=(Turn("pop3", b"", text.encode("utf-8", "replace")),))
    risk = Risk(44, "medium", (Factor("impact", 44, text, text),))
    rated = replace(first, service=service, risk=risk, advice=text)
    finding = replace(RESULT.findings[0], title=text, evidence={"seen": text}, remedy=text)
    finding = replace(finding, attack=(text,), references=("rfc8314", text))
    grant = GrantNote(text, text, (text,), 3, AT, AT, (text,), text, text)
    sources = {"rfc8314": SourceNote(text, text, text, text)}
    return replace(
        RESULT,
        head=replace(RESULT.head, targets=(text,), vantage=text, grants=(text,), dropped=(text,), ports=text),
        services=(rated,),
        findings=(finding,),
        background=Background((grant,), {finding.check: text}, sources, {text: text}, (text,)),
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_the_network_is_shown_and_does_nothing(text: str) -> None:
    shown = page(everywhere(text), with_evidence=True)
    quiet = page(everywhere("quiet"), with_evidence=True)
    shapes = [[(tag, list(a)) for tag, a in it.tags if tag != "code"] for it in (shown, quiet)]
    assert shapes[0] == shapes[1], "the text made or unmade a tag"
    assert all(a["href"].startswith(("#", "https://")) for a in shown.named("a"))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e\u2028\ud800\ufdd0]", shown.source)
    assert "Exposure of 49" not in shown.text


def test_a_link_that_is_no_web_address_is_no_link() -> None:
    sources = {"rfc8314": SourceNote("t", "p", None, "javascript:alert(1)")}
    shown = page(replace(RESULT, background=Background(sources=sources)))
    assert "javascript" not in shown.source


def test_answers_of_endpoints_are_left_out_unless_asked_for() -> None:
    secret = (Turn("pop3", b"CAPA\r\n", b"+OK secret-host\r\n", 0.6, truncated=True),)
    result = replace(
        RESULT, services=(replace(RESULT.services[0], service=replace(RESULT.services[0].service, evidence=secret)),)
    )
    shared, full = page(result), page(result, with_evidence=True)
    assert "secret-host" not in shared.source
    assert "CAPA\\r\\n ← received 17 bytes, left out more came than was kept" in shared.text
    assert "← received +OK secret-host\\r\\n more came than was kept" in full.text
    assert "Holds what endpoints answered: share it with care." in full.text


ANSWERS: list[tuple[RunResult, str]] = [
    (RESULT, "1 finding of critical severity, 1 of medium on 1 host; 5 endpoints open of 1,000 measured."),
    (
        PARTIAL,
        "1 finding of critical severity, 1 of medium on 1 host; 5 endpoints open of 400 measured; 600 of 1,000 not measured.",
    ),
    (EMPTY, "Nothing open on 1 address: 65,535 endpoints measured."),
    (
        replace(RESULT, findings=()),
        "No findings above info; 5 endpoints open of 1,000 measured; the highest risk is 100 critical.",
    ),
    (replace(EMPTY, summary=replace(EMPTY.summary, measured=0, closed=0)), "Nothing was measured, so nothing is known yet."),
    (
        replace(RESULT, own_loopback=frozenset(s.endpoint for s in RESULT.services[:2])),
        (
            "No findings above info on what other hosts can reach; "
            "5 endpoints open of 1,000 measured, 2 of them reachable from this machine alone; the highest risk is 44 medium."
        ),
    ),
    (
        replace(RESULT, own_loopback=frozenset(s.endpoint for s in RESULT.services)),
        "No endpoint is open to other hosts; 5 endpoints open of 1,000 measured, 5 of them reachable from this machine alone.",
    ),
]


@pytest.mark.parametrize(("result", "sentence"), ANSWERS)
def test_the_answer_is_one_sentence(result: RunResult, sentence: str) -> None:
    assert answer_text(result, find_exposures(result)) == sentence
    assert sentence in page(result).text


def test_unfinished_and_empty_runs_say_so() -> None:
    assert "Partial: stopped before its end, can be resumed." in page(PARTIAL).text
    assert "reconshield scan --resume 20261123-094612-k3fd" in page(PARTIAL).text
    assert "not measured 600 60 % planned, not reached" in page(PARTIAL).text
    assert "No findings on 5 rated endpoints." in page(replace(RESULT, findings=())).text
    assert "No endpoint answered as open. This holds for what was measured, from lab-1" in page(EMPTY).text


def test_addresses_of_one_name_that_answer_alike_are_one_row() -> None:
    def on(ip: str) -> object:
        rated = RESULT.services[2]
        return replace(rated, service=replace(rated.service, endpoint=Endpoint(ip, 22), name="mail.example.org"))

    result = replace(RESULT, services=(on("2001:db8::2"), on(IP)), findings=())  # type: ignore[arg-type]
    (exposure,) = find_exposures(result)
    assert (str(exposure.endpoint), [str(e) for e in exposure.also]) == ("10.77.0.2:22/tcp", ["[2001:db8::2]:22/tcp"])
    assert "mail.example.org, also on 1 more of its addresses" in page(result).text


def test_a_huge_run_is_folded() -> None:
    shown = page(big_run(3000))
    rows = [a for a in shown.named("svg") if a.get("class", "").startswith("chart")]
    assert len(rows) == DETAILED + 2
    assert f"3,000 open endpoints, the worst first; the first {LISTED} here, the others below" in shown.text
    assert "1,000 more endpoints, risk 100 to" in shown.text
    assert "The worst 100 of 1,800 endpoints that have a finding or are rated medium or worse" in shown.text
    assert "Findings of 1,100 more endpoints, by kind" in shown.text
    assert "Redis answers without a password redis-no-auth where" in shown.text
    assert sum(1 for a in shown.named("span") if a.get("class", "").startswith("badge")) == 1 + 3000 + DETAILED


def test_factors_are_drawn_on_one_scale() -> None:
    risk = Risk(
        20, "low", (Factor("impact", 30, "", ""), Factor("transport", 6, "", ""), Factor("listed-networks", -20, "", ""))
    )
    plain_chart = chart_factors(UNKNOWN, lowering=False)
    assert [(bar.name, bar.value, bar.width, bar.most) for bar in plain_chart.bars[:2]] == [
        ("impact", "6 of 30", 20.0, 100.0),
        ("authentication", "8 of 20", 26.67, 66.67),
    ]
    chart = chart_factors(risk, lowering=has_lowering([UNKNOWN, risk]))
    assert chart.zero == 45.45
    assert [(bar.x, bar.width, bar.value, bar.lowers) for bar in chart.bars] == [
        (45.45, 54.55, "30 of 30", False),
        (45.45, 10.91, "6 of 12", False),
        (9.09, 36.36, "− 20", True),
    ]
    assert chart.description == "impact 30 of 30, transport 6 of 12, listed networks − 20; 20 of 100, low."


def test_every_number_of_a_chart_stands_in_the_table_under_it() -> None:
    proven = endpoint_risk(UNKNOWN, {"auth": "none"})
    shown = page(replace(RESULT, services=(replace(RESULT.services[1], risk=proven),), findings=RESULT.findings[1:]))
    for factor in proven.factors:
        assert factor.because in shown.text
    assert "27 base + 15 proven open = 42" in shown.text


def test_what_is_rare_stays_visible() -> None:
    bars = chart_counts({"critical": 1, "high": 0, "low": 100_000})
    assert [(bar.label, bar.width) for bar in bars] == [("critical", 0.6), ("high", 0.0), ("low", 100.0)]
