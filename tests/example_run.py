"""A run made by hand, with everything a report has to show: findings, a guess, an unknown, held-back, loopback-only."""

from __future__ import annotations

from reconshield.model import (
    Confidence,
    Endpoint,
    Factor,
    Finding,
    Observation,
    Reason,
    Risk,
    Rung,
    Service,
    Severity,
    State,
    Tls,
    Turn,
)
from reconshield.report.result import HeldBack, RatedService, RunHead, RunResult, Summary

AT = 1795427172.0
IP = "10.77.0.2"


def risk(score: int, rating: str, *context: Factor) -> Risk:
    base = score - sum(f.points for f in context)
    return Risk(score, rating, (Factor("impact", base, "what an abuser gains", "rfc1939"), *context))


def rated(port: int, service: str, score: int, rating: str, **more: object) -> RatedService:
    fields: dict[str, object] = {"confidence": Confidence.CONFIRMED, "rung": Rung.PROTOCOL, "at": AT} | more
    advice = fields.pop("advice", None)
    return RatedService(Service(Endpoint(IP, port), service, **fields), risk(score, rating), advice)  # type: ignore[arg-type]


PROVEN = Factor("proven-open", 15, "an answer without a login", "reconshield")

RESULT = RunResult(
    head=RunHead(
        id="20261123-094612-k3fd",
        targets=(IP,),
        ports="1-1000",
        engine="connect",
        vantage="lab-1",
        level=3,
        started=AT,
        probes=1000,
        seed=7,
        addresses=1,
        grants=("g3",),
    ),
    services=(
        rated(110, "pop3", 44, "medium", product="Dovecot pop3d", tls=Tls.STARTTLS),
        rated(6379, "redis", 100, "critical", product="Redis", version="7.0.15"),
        rated(22, "ssh", 44, "medium", product="OpenSSH", version="9.2p1", advice="sshd_config: `PasswordAuthentication no`"),
        rated(443, "https", 16, "low", confidence=Confidence.GUESS, rung=Rung.SYN_ACK),
        rated(
            8443,
            "unknown",
            27,
            "low",
            confidence=Confidence.GUESS,
            evidence=(Turn("banner", b"", b"\x1b[31mhello\r\n\0\0"),),
            rung=Rung.BYTES,
            note="49 probes not tried",
        ),
    ),
    findings=(
        Finding(
            check="pop3-cleartext-login",
            id="dcf9a0b5ac4d07f9",
            endpoint=Endpoint(IP, 110),
            severity=Severity.MEDIUM,
            confidence=Confidence.CONFIRMED,
            title="Password can travel in clear text",
            evidence={"seen": "CAPA offers USER, SASL PLAIN before TLS"},
            remedy="Dovecot: `ssl = required`, then `doveadm reload`",
            attack=("T1040",),
            references=("rfc8314",),
            risk=risk(44, "medium"),
        ),
        Finding(
            check="redis-no-auth",
            id="0123456789abcdef",
            endpoint=Endpoint(IP, 6379),
            severity=Severity.CRITICAL,
            confidence=Confidence.CONFIRMED,
            title="Redis answers without a password",
            evidence={"seen": "PING got +PONG before any AUTH"},
            remedy="redis.conf: `bind 127.0.0.1` and a password, then restart",
            risk=risk(100, "critical", PROVEN),
        ),
    ),
    summary=Summary("complete", 1000, 1000, 5, 993, 2, 0, 0, 4, 1.9),
    observations=(
        Observation(Endpoint(IP, 110), State.OPEN, Reason.SYN_ACK, AT, 64, 0.1234, name="=cmd|' /C calc'!A0"),
        Observation(Endpoint(IP, 111), State.CLOSED, Reason.CONN_REFUSED, AT),
    ),
    held_back=(HeldBack(Endpoint(IP, 9100), "print", "a byte sent here is printed", "reconshield"),),
)
