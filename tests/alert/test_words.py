"""What people read. Times are shown in the zone of the machine, which for these tests is UTC."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from alert.examples import MINUTE, NOW, OPENED, RISK, STALE, event, message, notice
from reconshield.alert.words import chat_text, mail_text, notice_chat, notice_subject, notice_text, risk_sum, subject
from reconshield.model import Factor


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


MAIL = """\
What     pop3 (Dovecot) answers on 10.77.0.2:110/tcp, seen from dmz-1
Since    between 09:16 UTC (last seen closed) and 09:46 UTC (first seen open)
Why      login possible in clear text (confirmed); no policy entry allows it
Risk     54 High = 44 base + 10 newly opened
Do       on mail-1: doveconf ssl            expected: required
         close: reconshield firewall advise 110 --allow 10.8.0.0/24
Owner    mail team · zone dmz · alert a81 · updated, not repeated, if it changes
Proof    https://recon.example/evidence/20261123-094612-k3fd/10.77.0.2:110
"""


def test_the_mail_of_the_brief() -> None:
    assert subject(message()) == "[High 54] 110/tcp opened on mail-1 (10.77.0.2), not expected"
    assert mail_text(message()) == MAIL


def test_four_lines_for_a_chat() -> None:
    assert chat_text(message()).splitlines() == [
        "[High 54] 110/tcp opened on mail-1 (10.77.0.2), not expected",
        "Why: login possible in clear text (confirmed); no policy entry allows it",
        "Do: on mail-1: doveconf ssl            expected: required",
        "https://recon.example/evidence/20261123-094612-k3fd/10.77.0.2:110",
    ]


def test_what_is_over_says_how_long_it_lasted() -> None:
    ended = message(status="resolved", resolved_at=NOW + 34 * MINUTE, ending="closed")
    assert subject(ended) == "[Resolved] 110/tcp closed on mail-1, measured 10:20 UTC, open for 34 to 64 min"
    assert "Ended    closed, measured 10:20 UTC, open for 34 to 64 min" in mail_text(ended)
    assert "Do " not in mail_text(ended)


def test_silence_is_called_not_measured() -> None:
    told = subject(message(STALE))
    assert told == "[Not measured] office: no scan for 9 days (target 1 day); last try failed: no route from dmz-1"
    assert mail_text(message(STALE)).startswith("What     schedule office has not measured")
    assert "Owner    no owner in the policy · zone office" in mail_text(message(STALE))


def test_many_changes_are_one_message() -> None:
    many = notice(*(message(event(n), number=n) for n in range(1, 6)))
    assert notice_subject(many) == "[High 54] 110/tcp opened on mail-1 (10.77.0.2), not expected, and 4 more"
    assert notice_text(many).count("What ") == 3
    assert notice_text(many).endswith("2 more alerts of this run: reconshield alert list\n")
    assert notice_chat(many).endswith("2 more: reconshield alert list")


def test_a_sum_that_is_cut_says_so() -> None:
    factors = (*RISK.factors, Factor("proven-open", 60, "x", "y"), Factor("tls-observed", -5, "x", "y"))
    high = replace(RISK, score=100, rating="critical", factors=factors)
    assert risk_sum(high) == "100 Critical = 44 base + 10 newly opened + 60 proven open − 5 tls observed, cut at 100"


@pytest.mark.parametrize("hostile", ["a\r\nBcc: x@example.org", "\x1b[31mred", "a\u202eb", "x" * 5000])
def test_what_the_network_said_cannot_break_out(hostile: str) -> None:
    told = message(replace(OPENED, title=hostile, what=hostile, why=hostile))
    for text in (subject(told), *mail_text(told).splitlines(), *chat_text(told).splitlines()):
        assert "\r" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert len(text) < 500
    assert len(mail_text(told).splitlines()) == len(MAIL.splitlines())
