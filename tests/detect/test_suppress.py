"""Suppressions: which detections they are about, that they hide nothing, and that they end."""

from __future__ import annotations

import pytest

from detect.captures import zeek_row
from detect.test_match import CELL, DAY, judge, policy_of
from reconshield.detect.suppress import suppress
from reconshield.detection import Detection, Suppressed
from reconshield.policy import Policy
from reconshield.report.detections import detection_line, detection_rows

NOW = DAY + 86_400.0


def with_entry(keys: str, expires: str = "2100-01-01") -> Policy:
    return policy_of(f'{CELL}[[suppress]]\n{keys}\nreason = "known"\nowner = "net"\nexpires = {expires}\n')


def detected(policy: Policy) -> Detection:
    [found] = judge([zeek_row(DAY, "10.20.4.9", "203.0.113.35", 110)], policy).detections
    [marked] = suppress([found], policy, NOW)
    assert marked.grade == found.grade
    return marked


@pytest.mark.parametrize(
    ("keys", "about"),
    [
        ('zone = "cell-3"', True),
        ('zone = "wan"', True),
        ('zone = "office"', False),
        ('from = "10.20.4.9"', True),
        ('from = ["cell-3", "office"]', True),
        ('from = "203.0.113.35"', False),
        ('to = "203.0.113.0/24"', True),
        ('to = "203.0.114.0/24"', False),
        ('ports = "100-120"', True),
        ('ports = "U:110"', False),
        ('from = "10.20.4.9"\nto = "203.0.113.35"\nports = "110"', True),
        ('from = "10.20.4.9"\nto = "203.0.113.35"\nports = "143"', False),
    ],
)
def test_all_that_is_given_must_match(keys: str, *, about: bool) -> None:
    assert (detected(with_entry(keys)).suppressed is not None) == about


def test_it_is_shown_with_its_reason_and_keeps_its_score() -> None:
    found = detected(with_entry('ports = "110"'))
    assert found.suppressed is not None
    assert found.suppressed.because.startswith("known (net, until 2100-01-01, line ")
    texts = ["".join(span.text for span in row) for row in detection_rows([found], 200)]
    assert any("suppressed" in text and "known (net" in text for text in texts)
    line = detection_line(found)
    assert (line["suppressed"], line["score"]) == (True, found.grade.score)


def test_what_has_expired_says_so_and_suppresses_nothing() -> None:
    found = detected(with_entry('ports = "110"', "2020-01-01"))
    assert isinstance(found.suppressed, Suppressed)
    assert not found.suppressed.live
    assert "expired 2020-01-01" in found.suppressed.because
    assert detection_line(found)["suppressed"] is False


def test_one_that_holds_counts_before_one_that_has_expired() -> None:
    text = CELL + "".join(
        f'[[suppress]]\nports = "110"\nreason = "{why}"\nowner = "net"\nexpires = {day}\n'
        for why, day in (("old", "2020-01-01"), ("new", "2100-01-01"))
    )
    found = detected(policy_of(text))
    assert found.suppressed is not None
    assert found.suppressed.because.startswith("new")


def test_an_entry_that_would_mark_everything_is_refused() -> None:
    with pytest.raises(AssertionError, match="would mark everything"):
        with_entry("")
