"""The Markdown report: one golden document, and hostile text as a table of what it becomes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from example_run import AT, RESULT
from reconshield.report.markdown import code, markdown_text, plain, prose
from reconshield.report.result import Background, GrantNote, RunResult, Summary

BACKGROUND = Background(
    grants=(
        GrantNote("g3", "J. Weber", ("10.77.0.0/16",), 3, AT, AT + 86400, ("10.77.0.9",), "yearly review", "noc@example.org"),
    ),
    refuted={"redis-no-auth": "the answer to `PING` is -NOAUTH"},
    data=("IANA 2026-02-13",),
)

GOLDEN = """\
# Exposure of 10.77.0.2

**1 finding of critical severity, 1 of medium on 1 host; 5 endpoints open of 1,000 measured.**

- Measured: 1 address × 1,000 TCP ports (`1-1000`)
- When: 2026-11-23 09:46 UTC, took 1.9 s
- From: lab-1, connect engine, seed 7
- Grant: g3; level 3, identify
- Run: `20261123-094612-k3fd`, complete

## Endpoints

| Risk | Rating | Endpoint | Service | Product | TLS | Findings | Evidence |
| ---: | --- | --- | --- | --- | --- | ---: | --- |
| 100 | critical | `10.77.0.2:6379/tcp` | redis | Redis 7.0.15 | none | 1 | protocol |
| 44 | medium | `10.77.0.2:110/tcp` | pop3 | Dovecot pop3d | starttls | 1 | protocol |
| 44 | medium | `10.77.0.2:22/tcp` | ssh | OpenSSH 9.2p1 | own | 0 | protocol |
| 27 | low | `10.77.0.2:8443/tcp` | unknown | 14 bytes kept | none | 0 | bytes |
| 16 | low | `10.77.0.2:443/tcp` | https | guess: port number only | not measured | 0 | syn-ack |

## Findings

### Redis answers without a password: `10.77.0.2:6379/tcp`

- Severity critical; confidence confirmed; risk 100 critical: 100 base = 100
- Seen: PING got +PONG before any AUTH
- Mend: redis.conf: `bind 127.0.0.1` and a password, then restart
- Refuted if: the answer to `PING` is -NOAUTH
- Check: `redis-no-auth`, finding `0123456789abcdef`

### Password can travel in clear text: `10.77.0.2:110/tcp`

- Severity medium; confidence confirmed; risk 44 medium: 44 base = 44
- Seen: CAPA offers USER, SASL PLAIN before TLS
- Mend: Dovecot: `ssl = required`, then `doveadm reload`
- Techniques and sources: T1040, rfc8314
- Check: `pop3-cleartext-login`, finding `dcf9a0b5ac4d07f9`

## First steps elsewhere

- `10.77.0.2:22/tcp`: sshd\\_config: `PasswordAuthentication no`

## Coverage

1,000 of 1,000 planned endpoints measured.

| State | Endpoints | Share | What it means |
| --- | ---: | ---: | --- |
| open | 5 | 0.5 % | something answered |
| closed | 993 | 99.3 % | the host answered that nothing listens |
| filtered | 2 | 0.2 % | no answer, or a refusal on the way; something may listen behind it |
| not measured | 0 | 0 % | planned, not reached; says nothing about open or closed |

- Held back, no byte was sent (print: a byte sent here is printed, reconshield): `10.77.0.2:9100/tcp`
- Loss was not measured.
- 4 probes were sent again.

## Grant

- g3, allowed by J. Weber: `10.77.0.0/16`, never `10.77.0.9`; level 3, identify; \
2026-11-23 09:46 UTC until 2026-11-24 09:46 UTC; yearly review; contact noc&#64;example.org

## How to read this

- Severity: the harm if a finding is true; fixed for each check, the same everywhere.
- Risk: the harm here: points from 0 to 100, each with reason and source. Medium from 30, high from 50, critical from 75.
- Confidence: how sure we are: guess (port number only), probable (shape of a banner), confirmed (the protocol was spoken).

ReconShield 0.1.0; data IANA 2026-02-13
"""


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def document(result: RunResult) -> str:
    return "".join(markdown_text(result))


def test_the_whole_document() -> None:
    assert document(replace(RESULT, background=BACKGROUND)) == GOLDEN


PLAIN = [
    ("10.77.0.2", "10.77.0.2"),
    ("mail-1.example.org", "mail-1.example.org"),
    ("a|b", "a\\|b"),
    ("[x](http://evil)", "\\[x\\](http&#58;//evil)"),
    ("![x](y)", "!\\[x\\](y)"),
    ("<img src=x>", "&lt;img src=x&gt;"),
    ("&lt;", "&amp;lt;"),
    ("*b* _i_ ~s~ `c`", "\\*b\\* \\_i\\_ \\~s\\~ \\`c\\`"),
    ("@team #12 $x$", "&#64;team &#35;12 &#36;x&#36;"),
    ("www.evil.example mailto:x", "www&#46;evil.example mailto&#58;x"),
    ("\x1b[2J\r\n# head", "\\\\x1b\\[2J\\\\x0d\\\\x0a&#35; head"),
    ("\u202eexe", "\\\\u202eexe"),
]


@pytest.mark.parametrize(("text", "shown"), PLAIN)
def test_foreign_text_is_shown_and_does_nothing(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("CAPA", "`CAPA`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("a|b", "`a\\|b`"), ("x\ny", "`x\\x0ay`"), ("", "`  `")],
)
def test_code_cannot_be_closed_from_inside(text: str, shown: str) -> None:
    assert code(text) == shown


def test_prose_keeps_commands_as_code() -> None:
    assert prose("set `ssl = required`, <then> reload") == "set `ssl = required`, &lt;then&gt; reload"
    assert prose("an odd ` tick") == "an odd \\` tick"


def test_a_banner_adds_no_row_and_no_heading() -> None:
    hostile = replace(RESULT.services[0].service, product="x |\n## owned\n| y", version="`|`", name="a|b")
    result = replace(RESULT, services=(replace(RESULT.services[0], service=hostile), *RESULT.services[1:]))
    lines, usual = document(result).splitlines(), document(RESULT).splitlines()
    assert len(lines) == len(usual)
    assert [line for line in lines if line.startswith("#")] == [line for line in usual if line.startswith("#")]
    (row,) = [line for line in lines if "owned" in line]
    assert row.replace("\\|", "").count("|") == 9


def test_empty_and_partial_runs_say_so() -> None:
    summary = Summary("partial", 1000, 400, 0, 400, 0, 0, 0, 0, 1.0)
    text = document(replace(RESULT, services=(), findings=(), held_back=(), summary=summary))
    assert "**Nothing open on 1 address: 400 endpoints measured; 600 of 1,000 not measured.**" in text
    assert "- Go on: `reconshield scan --resume 20261123-094612-k3fd`" in text
    assert "No endpoint is listed as open." in text
    assert "None on what was measured." in text
