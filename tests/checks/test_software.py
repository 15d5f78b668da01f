"""Which programs a service shows, and what is said of their age and of known vulnerabilities: affected, fixed, cannot tell."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from datetime import UTC, datetime
from typing import Any

import pytest

from checks.cases import NOW, service
from reconshield.checks.check import Context, run_checks
from reconshield.checks.lifespan import find_ended
from reconshield.checks.rules.known_vulnerability import CHECKS
from reconshield.checks.software import Software, read_software
from reconshield.checks.vulnerability import State, assess
from reconshield.jobs.judge import Judge
from reconshield.knowledge.advisories import all_advisories
from reconshield.knowledge.kev import embedded_exploited
from reconshield.knowledge.lifecycle import FILE as LIFECYCLE
from reconshield.knowledge.lifecycle import find_end
from reconshield.knowledge.versions import compare_versions, is_of
from reconshield.model import Confidence, Service, Severity

NOT_IN_KEV = {"CVE-2024-6387"}

OLDER_FIRST = (
    ("1.0.1", "1.0.1g"),
    ("1.0.1e", "1.0.1g"),
    ("9.2~rc1", "9.2"),
    ("9.9p2", "9.10p1"),
    ("9.7p1", "9.8"),
    ("4.90", "4.90.1"),
    ("9.0.0.M1", "9.0.30"),
    ("2.0.9", "2.0.10"),
    ("1:1.0", "2:0.1"),
    ("7.0.33-0+deb9u5", "7.0.33-0+deb9u12"),
    ("9.2p1-2+deb12u2", "9.2p1-2+deb12u3"),
    ("8.9p1-3ubuntu0.1", "8.9p1-3ubuntu0.10"),
    ("1.0-1~deb9u1", "1.0-1"),
    ("1.0", "1.0-1"),
    ("1.2.a", "1.2.+"),
    ("0", "1"),
)


@pytest.mark.parametrize(("older", "newer"), OLDER_FIRST)
def test_order_of_versions(older: str, newer: str) -> None:
    assert (compare_versions(older, newer), compare_versions(newer, older)) == (-1, 1)
    assert compare_versions(older, older) == 0


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is Debian's own judge of the order")
def test_the_order_is_that_of_dpkg() -> None:
    """Every pair of the versions above, judged by the program that defines the order."""
    versions = sorted({version for pair in OLDER_FIRST for version in pair})
    for one, other in itertools.combinations(versions, 2):
        answer = subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=False, timeout=10).returncode
        assert (compare_versions(one, other) < 0) == (answer == 0), (one, other)


@pytest.mark.parametrize("odd", ["", "-", ":", "~", "1:", "9" * 5000, "é" * 200, "1..2", "\x00", "a-b-c"])
def test_odd_versions_have_an_order(odd: str) -> None:
    assert compare_versions(odd, "1.0") in (-1, 0, 1)
    assert compare_versions(odd, odd) == 0


def test_a_release_line_ends_at_a_number() -> None:
    assert is_of("2.2.34", "2.2")
    assert not is_of("2.20.1", "2.2")
    assert is_of("7.0.33", "7")


def shown(kind: str, product: str | None, version: str | None, **facts: Any) -> Service:
    return service(kind, product=product, version=version, facts=facts)


SHOWN: tuple[tuple[str, Service, list[str]], ...] = (
    (
        "ssh",
        shown("ssh", "OpenSSH", "9.2p1", os="Debian", package="2+deb12u2"),
        ["OpenSSH 9.2p1 (Debian package 9.2p1-2+deb12u2)"],
    ),
    (
        "a whole package",
        shown("http", "X", "1.0", os="Debian", package="1.0-2+deb12u1"),
        ["X 1.0 (Debian package 1.0-2+deb12u1)"],
    ),
    (
        "the programs behind Apache httpd",
        shown(
            "http",
            "Apache httpd",
            "2.2.15",
            os="CentOS",
            headers={"server": "Apache/2.2.15 (CentOS) OpenSSL/1.0.1e-fips PHP/5.3.3"},
        ),
        ["Apache httpd 2.2.15 (CentOS)", "OpenSSL 1.0.1e (CentOS)", "PHP 5.3.3 (CentOS)"],
    ),
    (
        "PHP of Debian",
        shown("http", None, None, headers={"x-powered-by": "PHP/7.0.33-0+deb9u12"}),
        ["PHP 7.0.33 (Debian package 7.0.33-0+deb9u12)"],
    ),
    (
        "PHP of Ubuntu",
        shown("http", None, None, headers={"x-powered-by": "PHP/7.0.33-0ubuntu0.16.04.7"}),
        ["PHP 7.0.33 (Ubuntu package 7.0.33-0ubuntu0.16.04.7)"],
    ),
    (
        "BIND of Red Hat",
        shown("dns", "ISC BIND", "9.11.4", version_bind="9.11.4-P2-RedHat-9.11.4-26.P2.el7"),
        ["ISC BIND 9.11.4 (Red Hat)"],
    ),
    ("Windows", shown("smb", None, None, ntlm_version="6.1.7601"), ["Windows 6.1.7601 (Windows)"]),
    ("Samba calls itself Windows", shown("smb", "Samba smbd", None, ntlm_version="6.1.0"), []),
    ("nothing", shown("ssh", "OpenSSH", None), []),
    ("a guess", service("ssh", product="OpenSSH", version="9.2p1", confidence=Confidence.GUESS), []),
)


@pytest.mark.parametrize(("subject", "expected"), [row[1:] for row in SHOWN], ids=[row[0] for row in SHOWN])
def test_software(subject: Service, expected: list[str]) -> None:
    assert [program.text for program in read_software(subject)] == expected


SURE, UNSURE, MENDED = State.AFFECTED, State.CANNOT_TELL, State.FIXED
STATES: tuple[tuple[str, Software, dict[str, State]], ...] = (
    ("Debian, before the fix", Software("OpenSSH", "9.2p1", "Debian", "9.2p1-2+deb12u2"), {"CVE-2024-6387": SURE}),
    ("Debian, with the fix", Software("OpenSSH", "9.2p1", "Debian", "9.2p1-2+deb12u3"), {"CVE-2024-6387": MENDED}),
    ("Debian, long after", Software("OpenSSH", "9.2p1", "Debian", "9.2p1-2+deb12u10"), {"CVE-2024-6387": MENDED}),
    ("Debian, no such fix on record", Software("OpenSSH", "9.4p1", "Debian", "9.4p1-1"), {"CVE-2024-6387": UNSURE}),
    ("Ubuntu, with the fix", Software("OpenSSH", "8.9p1", "Ubuntu", "8.9p1-3ubuntu0.10"), {"CVE-2024-6387": MENDED}),
    ("Ubuntu, before the fix", Software("OpenSSH", "8.9p1", "Ubuntu", "8.9p1-3ubuntu0.6"), {"CVE-2024-6387": SURE}),
    ("nobody says who built it", Software("OpenSSH", "8.7"), {"CVE-2024-6387": UNSURE}),
    ("before the range", Software("OpenSSH", "8.4p1", "Debian", "8.4p1-5+deb11u3"), {}),
    ("after the range", Software("OpenSSH", "9.8p1"), {}),
    ("Exim as no distribution has it", Software("Exim smtpd", "4.88"), {"CVE-2019-10149": SURE, "CVE-2018-6789": SURE}),
    ("Exim as Debian 9 has it", Software("Exim smtpd", "4.89"), {"CVE-2019-10149": UNSURE, "CVE-2018-6789": UNSURE}),
    ("Exim as it should be", Software("Exim smtpd", "4.98"), {}),
    ("only Debian's Redis is affected", Software("Redis", "5.0.3"), {"CVE-2022-0543": UNSURE}),
    ("Redis after it", Software("Redis", "7.0.15"), {}),
    ("PHP on Windows", Software("PHP", "8.2.12", "Win64"), {"CVE-2024-4577": SURE}),
    ("PHP elsewhere", Software("PHP", "8.2.12"), {}),
    ("PHP of Debian 9", Software("PHP", "7.0.33", "Debian", "7.0.33-0+deb9u12"), {"CVE-2019-11043": MENDED}),
    ("an update that shows nothing", Software("Microsoft IIS httpd", "8.5"), {"CVE-2015-1635": UNSURE}),
    ("httpd of Fedora", Software("Apache httpd", "2.4.49", "Fedora"), {"CVE-2021-41773": UNSURE, "CVE-2021-42013": UNSURE}),
    ("Apache httpd of its makers", Software("Apache httpd", "2.4.50"), {"CVE-2021-42013": SURE}),
    ("Jenkins, long-term line", Software("Jenkins", "2.426.3"), {}),
    ("Jenkins, weekly", Software("Jenkins", "2.441"), {"CVE-2024-23897": SURE}),
    ("heartbeats", Software("OpenSSL", "1.0.1d"), {"CVE-2014-0160": SURE}),
    ("heartbeats of Red Hat", Software("OpenSSL", "1.0.1e", "Red Hat"), {"CVE-2014-0160": UNSURE}),
    ("another product", Software("Dropbear sshd", "9.2p1"), {}),
)  # fmt: skip


@pytest.mark.parametrize(("software", "expected"), [row[1:] for row in STATES], ids=[row[0] for row in STATES])
def test_states(software: Software, expected: dict[str, State]) -> None:
    verdicts = assess((software,), all_advisories())
    assert {verdict.advisory.cve: verdict.state for verdict in verdicts} == expected
    assert all(verdict.because for verdict in verdicts)


def finding_of(subject: Service) -> tuple[Severity, Confidence, str, Any]:
    (finding,) = run_checks(CHECKS, subject, "local", Context(now=NOW))
    return finding.severity, finding.confidence, finding.check, finding.evidence


def test_one_finding_lists_every_state_and_the_marks_of_kev() -> None:
    severity, confidence, check, evidence = finding_of(shown("smtp", "Exim smtpd", "4.88"))
    assert (severity, confidence, check) == (Severity.HIGH, Confidence.PROBABLE, "smtp-known-vulnerability")
    marks = {row["cve"]: (row["kev"], row["ransomware"]) for row in evidence["affected"]}
    assert marks == {"CVE-2019-10149": (True, False), "CVE-2018-6789": (True, True)}
    assert "cannot tell from outside" not in evidence


def test_what_is_fixed_is_a_note_and_what_cannot_be_told_is_little_more() -> None:
    fixed = finding_of(shown("ssh", "OpenSSH", "9.2p1", os="Debian", package="2+deb12u7"))
    assert fixed[:2] == (Severity.INFO, Confidence.CONFIRMED)
    assert fixed[3]["fixed by distribution"][0]["kev"] is False
    assert finding_of(shown("redis", "Redis", "5.0.3"))[0] is Severity.LOW


def test_every_advisory_is_listed_as_exploited_or_known_not_to_be() -> None:
    """The claim "known to be exploited" comes from CISA's list alone; these are the ids that are expected to be in it."""
    listed = embedded_exploited()
    assert {row.cve for row in all_advisories() if row.cve not in listed} == NOT_IN_KEV
    assert all(row.ranges and row.source.startswith("https://") for row in all_advisories())
    assert all(fixed.source.startswith(("DSA-", "USN-", "DLA-")) for row in all_advisories() for fixed in row.fixed)


ENDED: tuple[tuple[str, Service, list[str]], ...] = (
    ("Debian 9", shown("ssh", "OpenSSH", "7.4p1", os="Debian", package="10+deb9u7"), ["Debian 9"]),
    ("Debian 12", shown("ssh", "OpenSSH", "9.2p1", os="Debian", package="2+deb12u3"), []),
    ("Ubuntu 16.04", shown("mysql", "MySQL", "5.7.33", os="Ubuntu", package="0ubuntu0.16.04.1"), ["Ubuntu 16.04"]),
    ("Ubuntu 24.04", shown("mysql", "MySQL", "8.0.36", os="Ubuntu", package="0ubuntu0.24.04.1"), []),
    ("a revision without a release", shown("ssh", "OpenSSH", "8.9p1", os="Ubuntu", package="3ubuntu0.10"), []),
    ("an old program of a distribution", shown("http", "nginx", "1.10.3", os="Ubuntu"), []),
    ("an old program of nobody", shown("http", "nginx", "1.10.3"), ["nginx 1.10.3"]),
    ("nginx of Debian 12", shown("http", "nginx", "1.22.1"), []),
    ("Redis of Debian 12", shown("redis", "Redis", "7.0.15"), []),
    ("old IIS", shown("http", "Microsoft IIS httpd", "7.5"), ["Microsoft IIS httpd 7.5"]),
    ("Server 2008 R2", shown("smb", None, None, ntlm_version="6.1.7601"), ["Windows 6.1.7601"]),
    ("Server 2022", shown("smb", None, None, ntlm_version="10.0.20348"), []),
    ("SQL Server 2008 R2", shown("mssql", "Microsoft SQL Server", "10.50.6000"), ["Microsoft SQL Server 10.50.6000"]),
    ("an unknown program", shown("http", "Own", "0.1"), []),
)  # fmt: skip


@pytest.mark.parametrize(("subject", "expected"), [row[1:] for row in ENDED], ids=[row[0] for row in ENDED])
def test_end_of_life(subject: Service, expected: list[str]) -> None:
    assert [f"{ended.name} {ended.version}" for ended in find_ended(subject, NOW)] == expected


def test_support_ends_after_its_last_day() -> None:
    line, _ = find_end("PHP", "7.3.33") or pytest.fail("PHP 7.3 is in the table")
    day = datetime(2021, 12, 6, 23, 59, tzinfo=UTC).timestamp()
    assert (line.has_ended(day), line.has_ended(day + 120)) == (False, True)


def test_the_lines_of_a_product_do_not_overlap() -> None:
    """A version has one end: the first line that covers it must be the right one, so all come in ascending order."""
    import tomllib

    for product in tomllib.loads(LIFECYCLE.read_text(encoding="utf-8"))["product"]:
        starts = [line.get("of") or line["before"] for line in product["lines"]]
        assert all(compare_versions(one, other) <= 0 for one, other in itertools.pairwise(starts)), product["names"]


RISKS: tuple[tuple[str, Service, dict[str, int]], ...] = (
    ("affected, used by ransomware", shown("smtp", "Exim smtpd", "4.88"), {"kev-ransomware": 20, "end-of-life": 10}),
    ("affected, exploited", shown("http", "Elasticsearch", "1.1.0"), {"kev": 15, "end-of-life": 10}),
    ("affected, not known to be exploited", shown("ssh", "OpenSSH", "9.2p1", os="Debian", package="2+deb12u2"), {}),
    ("cannot be told", shown("redis", "Redis", "5.0.3"), {}),
    ("fixed by the distribution", shown("http", "PHP", "7.0.33", os="Debian", package="0+deb9u12"), {"end-of-life": 10}),
    ("past its end", shown("mysql", "MySQL", "5.5.62"), {"end-of-life": 10}),
    ("a guess", service("ssh", product="OpenSSH", version="5.3", confidence=Confidence.GUESS), {}),
)  # fmt: skip


@pytest.mark.parametrize(("subject", "expected"), [row[1:] for row in RISKS], ids=[row[0] for row in RISKS])
def test_risk_counts_only_what_is_sure(subject: Service, expected: dict[str, int]) -> None:
    """Design §10: an ended life and a match in KEV add points, the latter only where the program is affected."""
    factors = Judge("local", NOW).rate(subject).risk.factors
    counted = {factor.name: factor.points for factor in factors if factor.name in {"end-of-life", "kev", "kev-ransomware"}}
    assert counted == expected
