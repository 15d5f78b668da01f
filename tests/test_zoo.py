"""The zoo of `bench/identify_zoo.py`: its files say what they must, and its arithmetic counts as it should."""

from __future__ import annotations

import pytest

from reconshield.checks.rules import CHECKS
from reconshield.identify.probes import PROBES
from system.zoo.residents import Truth, load, read
from system.zoo.score import Claim, Verdict, judge, total

RESIDENTS = load()
TRUTHS = [truth for resident in RESIDENTS for truth in resident.truths]
REDIS = Truth(6379, "tcp", "redis", "Redis", "redis-server", weak=frozenset({"redis-no-auth"}))


def test_every_endpoint_stands_once() -> None:
    places = [(truth.port, truth.transport) for truth in TRUTHS]
    assert len(places) == len(set(places)) >= 150
    assert len({resident.server.name for resident in RESIDENTS}) == len(RESIDENTS)


def test_truth_is_written_in_our_words() -> None:
    names = {probe.name for probe in PROBES} | {
        "unknown",
        "http-proxy",
        "ipp",
        "etcd",
        "influxdb",
        "prometheus",
        "node-exporter",
    }
    assert {truth.service for truth in TRUTHS} <= names
    assert {truth.tls for truth in TRUTHS} == {"none", "implicit", "starttls"}
    ids = {check.id for check in CHECKS}
    for truth in TRUTHS:
        for weak in truth.weak:
            known = {weak, weak.replace(truth.service, "{service}", 1), weak.replace("http", "{service}", 1)}
            assert known & ids, f"{weak} of port {truth.port} is no check"


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValueError, match=r"x: unknown keys \['ports'\]"):
        read("x", {"packages": [], "run": "x", "truth": [], "ports": 1})


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        (Claim("redis", "Redis", "7.0.15", "none", frozenset({"redis-no-auth"})), Verdict(True, True, True, True)),
        (
            Claim("redis", "Redis key-value store", "7.0", "none", frozenset({"redis-no-auth", "tls-expired"})),
            Verdict(True, True, False, True, false=frozenset({"tls-expired"})),
        ),
        (Claim("http", "", "", "implicit"), Verdict(False, False, False, False, missed=REDIS.weak)),
        (Claim("redis", "KeyDB", "7.0.15.v1", "none", None), Verdict(True, False, True, True)),
        (Claim("redis", "Redis", "5-7.0.15-x", "none", None), Verdict(True, True, True, True)),
        (Claim("redis", "Redis", "17.0.15", "none", None), Verdict(True, True, False, True)),
        (Claim("redis", "Redis", "7.0.151", "none", None), Verdict(True, True, False, True)),
    ],
)
def test_claims_are_judged(claim: Claim, verdict: Verdict) -> None:
    assert judge(REDIS, "7.0.15", claim) == verdict


def test_what_is_not_shown_is_not_asked_but_a_guess_is_wrong() -> None:
    hidden = Truth(445, "tcp", "smb")
    assert judge(hidden, "", Claim("smb")) == Verdict(True, None, None, True)
    assert judge(hidden, "", Claim("smb", "Samba", "4.6.2")).version is False
    assert total([judge(hidden, "", Claim("smb")), judge(REDIS, "7", Claim("redis", "Redis", "7"))]) == {
        "service": (2, 2),
        "product": (1, 1),
        "version": (1, 1),
        "tls": (2, 2),
    }
