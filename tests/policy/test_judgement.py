"""Verdicts: the table of the design, what was not measured, and precedence by brute force."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.test_policy import entry
from reconshield.addresses import AddressSet, PortSet
from reconshield.jobs.policy import known_names
from reconshield.model import Confidence, Endpoint, Finding, Service, Severity, State
from reconshield.policy import Policy, read_policy
from reconshield.policy.boxes import Box, subtract
from reconshield.policy.judgement import judge
from reconshield.policy.matching import rows_of
from reconshield.policy.verdict import FAILING, KINDS, Measured
from store.examples import answers

NOW = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
HEAD = """\
version = 1
[[zone]]
name = "dmz"
targets = ["10.77.0.0/29", "2001:db8::/64"]
[[zone]]
name = "cell"
targets = ["10.77.1.0/30"]
vantages = ["probe"]
[[asset]]
name = "mx1"
addresses = ["10.77.0.2", "2001:db8::2"]
"""
CELLS = [
    ("10.77.0.2", 25, State.OPEN),
    ("10.77.0.2", 110, State.OPEN),
    ("10.77.0.3", 22, State.OPEN),
    ("10.77.0.2", 143, State.CLOSED),
]


def read(*tables: str) -> Policy:
    policy, problems = read_policy(HEAD + "".join(tables), "p.toml", known_names())
    assert problems == []
    assert policy is not None
    return policy


def service(ip: str, port: int, name: str, confidence: Confidence = Confidence.CONFIRMED) -> dict[Endpoint, Service]:
    place = Endpoint(ip, port)
    return {place: Service(place, name, confidence, NOW)}


SERVICES = service("10.77.0.2", 25, "smtp") | service("10.77.0.2", 110, "pop3") | service("10.77.0.3", 22, "ssh")
WHOLE = (Box(AddressSet.of(*(f"10.77.0.{n}" for n in range(8))), PortSet(tcp=((1, 1000),))),)


def measured(**changed: Any) -> Measured:
    given: dict[str, Any] = {"rows": answers(*CELLS), "vantage": "local", "at": NOW, "whole": WHOLE, "services": SERVICES}
    return Measured(**(given | changed))


def told(policy: Policy, seen: Measured, now: float = NOW) -> list[str]:
    return [f"{v.kind} {v.place} line {v.line}" for v in judge(policy, seen, now).verdicts()]


def expect(**changed: str) -> str:
    return entry("expect", **({"on": '"mx1"'} | changed))


ROWS = [
    # tables -> the verdict on 10.77.0.2:25 (line 13 is the first entry, then every seven or four lines)
    ([], "unexpected"),
    ([expect()], "expected 13"),
    ([expect(service="", ports='"25,587"')], "expected 13"),
    ([expect(service='"domain"')], "unexpected"),
    ([expect(ports='"587"')], "unexpected"),  # both keys must match
    ([expect(on='"10.77.0.0/30"')], "expected 13"),
    ([expect(on='"2001:db8::2"')], "unexpected"),
    ([expect(on='"wan"')], "unexpected"),
    ([expect(on="")], "expected 13"),
    ([expect(seen_from='"wan"')], "expected 13"),  # a vantage that no zone claims
    ([expect(seen_from='"local"')], "expected 13"),
    ([expect(seen_from='["cell", "probe"]')], "unexpected"),
    ([expect(expires="2026-11-22")], "expired 13"),
    ([expect(expires="2026-11-23")], "expected 13"),  # its last day
    ([expect(expires="2026-11-22"), expect()], "expected 20"),
    ([expect(), expect(on='"dmz"')], "expected 13"),  # the first that fits
    ([entry("closed", on='"dmz"', ports='"25"')], "forbidden 13"),
    ([expect(), entry("closed", on='"dmz"', ports='"25"')], "forbidden 20"),
    ([expect(), entry("closed", on='"dmz"', ports='"25"', seen_from='"cell"')], "expected 13"),
    ([entry("closed", on="", ports="", service='"smtp"')], "forbidden 13"),
    ([entry("closed", on='"mx1"', ports="")], "forbidden 13"),
    ([entry("closed", on='"dmz"', ports="", service='"telnet"')], "unexpected"),
]


@pytest.mark.parametrize(("tables", "verdict"), ROWS)
def test_an_open_endpoint(tables: list[str], verdict: str) -> None:
    found = next(v for v in judge(read(*tables), measured(), NOW).verdicts() if v.place == "10.77.0.2:25/tcp" and v.seen)
    assert " ".join(str(part) for part in (found.kind, found.line) if part) == verdict
    assert found.seen is not None
    assert (found.seen.state, found.seen.reason.label, found.zone) == (State.OPEN, "syn-ack", "dmz")


@pytest.mark.parametrize(
    ("table", "because"),
    [
        (expect(), "open, but what speaks is only guessed; expected is smtp"),
        (
            entry("closed", on='"mx1"', ports="", service='"smtp"'),
            "open, but what speaks is only guessed; smtp is forbidden here",
        ),
    ],
)
def test_a_guess_is_no_measurement_of_a_service(table: str, because: str) -> None:
    guess = service("10.77.0.2", 25, "smtp", Confidence.GUESS)
    found = [v for v in judge(read(table), measured(services=guess), NOW).verdicts("not-measured") if v.seen]
    assert [(v.place, v.because) for v in found] == [("10.77.0.2:25/tcp", because)]


ABSENT = [
    # tables, run -> the verdicts that are not about open endpoints
    ([entry("closed", on='"mx1"', ports='"143"')], {}, ["not-measured [2001:db8::2]:143/tcp line 13"]),
    ([entry("closed", on='"10.77.0.2"', ports='"143,U:53"')], {}, ["not-measured 10.77.0.2:53/udp line 13"]),
    ([entry("closed", on='"10.77.0.0/28"', ports='"143,9000-9001"')], {},
     ["not-measured 10.77.0.8/29 143,9000-9001 line 13", "not-measured 10.77.0.0/29 9000-9001 line 13"]),
    ([entry("closed", on='"10.77.0.2"', ports="", service='"imap"')], {"whole": (), "rows": answers(CELLS[-1])},
     ["not-measured 10.77.0.2:993/tcp line 13"]),
    ([entry("closed", on='"wan"', ports='"143"')], {}, []),  # nobody measures the rest of the Internet
    ([entry("closed", on='"10.77.0.4"', ports="")], {}, []),  # no ports named: those that the run measured
    ([entry("closed", on='"10.77.9.4"', ports="")], {}, ["not-measured 10.77.9.4 1-1000 line 13"]),
    ([entry("closed", on="", ports='"143"')], {}, ["not-measured 10.77.1.0/30, 2001:db8::2 143 line 13"]),
    ([entry("closed", on='"cell"', ports='"143"', seen_from='"probe"')], {}, []),  # about another vantage
    ([expect(on='"10.77.0.2"', service="", ports='"143,995"')], {},
     ["missing 10.77.0.2:143/tcp line 13", "missing 10.77.0.2:995/tcp line 13"]),
    ([expect(on='"10.77.0.2"', service="", ports='"25,995-999"')], {}, ["missing 10.77.0.2 995-999 line 13"]),
    ([expect(on='"10.77.0.2"', service="", ports='"100-120"')], {}, []),  # one of a range is enough
    ([expect(on='"10.77.0.2"', service="", ports='"8443"')], {}, ["not-measured 10.77.0.2:8443/tcp line 13"]),
    ([expect(on='"mx1"')], {}, []),  # one address of an asset is enough
    ([expect(on='"10.77.0.0/29"', service="", ports='"443"')], {}, ["missing 10.77.0.0/29 443 line 13"]),
    ([expect(on='"10.77.0.2"', service='"imap"', ports='"143"')], {}, ["missing 10.77.0.2:143/tcp line 13"]),
    ([expect(on='"10.77.0.3"', service='"http"', ports='"22"')], {}, ["missing 10.77.0.3:22/tcp line 13"]),  # another answers
    ([expect(on='"10.77.0.2"', expires="2026-01-01", ports='"143"')], {}, []),
    ([expect(on="", service="", ports='"443"')], {}, []),
    ([expect(on='"mx1"', seen_from='"cell"', ports='"143"')], {}, []),
]  # fmt: skip


@pytest.mark.parametrize(("tables", "run", "verdicts"), ABSENT)
def test_what_is_asserted_or_expected_and_not_open(tables: list[str], run: dict[str, Any], verdicts: list[str]) -> None:
    found = judge(read(*tables), measured(**run), NOW).others
    assert [f"{v.kind} {v.place} line {v.line}" for v in found] == verdicts


def test_missing_rests_on_what_was_seen_silence_included() -> None:
    policy = read(expect(on='"10.77.0.2"', service="", ports='"143,995"'))
    seen = [v.seen for v in judge(policy, measured(), NOW).verdicts("missing")]
    assert [(o.state.label, o.reason.label) for o in seen if o] == [("closed", "reset"), ("filtered", "no-response")]


def test_another_service_on_an_expected_port_is_said() -> None:
    (verdict,) = judge(read(expect(on='"10.77.0.3"', service='"http"', ports='"22"')), measured(), NOW).verdicts("missing")
    assert (verdict.place, verdict.because) == ("10.77.0.3:22/tcp", "open, but what answers is not what is expected")


def test_what_was_left_out_says_why() -> None:
    left_out = ((AddressSet.of("10.77.1.1"), "blackout until 12:00"),)
    policy = read(entry("closed", on='"cell"', ports='"502"'))
    found = [(v.place, v.because) for v in judge(policy, measured(left_out=left_out), NOW).verdicts("not-measured")]
    assert found == [
        ("10.77.1.1:502/tcp", "asserted closed, not measured: blackout until 12:00"),
        ("10.77.1.0, 10.77.1.2/31 502", "asserted closed, not measured"),
    ]


def test_endpoints_measured_one_by_one_count() -> None:
    """A stopped scan: eleven of the twelve endpoints were measured, in no order that a box could say."""
    places = [Endpoint(f"10.77.1.{n}", port) for n in range(4) for port in (80, 443, 502)]
    policy = read(entry("closed", on='"cell"', ports='"80,443,502"'))
    stopped = measured(rows=answers(), whole=(), single=rows_of(place for place in places if str(place) != "10.77.1.2:443/tcp"))
    assert told(policy, stopped) == ["not-measured 10.77.1.2:443/tcp line 13"]
    assert told(policy, measured(rows=answers(), whole=(), single=rows_of(places))) == []
    few = measured(rows=answers(), whole=(), single=rows_of(places[:4]))
    assert sum(v.count for v in judge(policy, few, NOW).verdicts()) == 8


def test_what_looks_open_and_is_not_believed_is_not_measured() -> None:
    """A tarpit: nobody knows what stands behind it, so nothing is unexpected, and nothing that was asserted is shown."""
    doubtful = rows_of([Endpoint("10.77.0.2", 25), Endpoint("10.77.0.3", 22)])
    policy = read(entry("closed", on='"mx1"', ports='"25"'))
    assert told(policy, measured(doubtful=doubtful)) == [
        "unexpected 10.77.0.2:110/tcp line None",
        "not-measured 10.77.0.2:25/tcp line 13",
        "not-measured [2001:db8::2]:25/tcp line 13",
    ]


def finding(check: str, port: int = 25) -> Finding:
    return Finding(
        check, "9f2c41d07be3a155", Endpoint("10.77.0.2", port), Severity.HIGH, Confidence.CONFIRMED, "It is so", {}, "mend it"
    )


@pytest.mark.parametrize(
    ("tables", "verdicts"),
    [
        ([], []),
        ([entry("accept", on='"mx1"')], ["accepted 10.77.0.2:25/tcp line 20"]),
        ([entry("accept", on='"mx1"', ports='"465"')], []),
        ([entry("accept", on='"cell"')], []),
        ([entry("accept", finding='"tls-weak-key"')], []),
        ([entry("accept", expires="2026-11-01")], ["expired 10.77.0.2:25/tcp line 20"]),
        ([entry("accept", expires="2026-11-01"), entry("accept")], ["accepted 10.77.0.2:25/tcp line 26"]),
    ],
)
def test_accepted_findings(tables: list[str], verdicts: list[str]) -> None:
    tables = [expect(on='"dmz"', service="", ports='"1-65535"'), *tables]
    found = judge(read(*tables), measured(findings=(finding("tls-expired"), finding("pop3-cleartext-login", 110))), NOW)
    assert [f"{v.kind} {v.place} line {v.line}" for v in found.others] == verdicts


def test_counts_and_failures_agree_with_the_verdicts() -> None:
    policy = read(expect(), entry("closed", on='"mx1"', ports='"110"'), expect(on='"10.77.0.2"', service="", ports='"995"'))
    found = judge(policy, measured(), NOW)
    verdicts = list(found.verdicts())
    assert found.counts() == {kind: sum(v.kind == kind for v in verdicts) for kind in KINDS}
    assert found.failed() == sum(v.kind in FAILING for v in verdicts)
    assert found.failed(strict=True) == found.failed() + 1
    assert [v.kind for v in verdicts] == sorted((v.kind for v in verdicts), key=KINDS.index)


def test_nothing_measured_and_nothing_declared() -> None:
    nothing = Measured(answers(), "local", NOW)
    assert list(judge(read(), nothing, NOW).verdicts()) == []
    assert list(judge(Policy(), nothing, NOW).verdicts()) == []


# ---- brute force

HOSTS = ("10.77.0.1", "10.77.0.2", "10.77.1.1", "192.0.2.1", "2001:db8::2", "2001:db8:1::9")
PORTS = (22, 25, 110)
NAMES = ("ssh", "smtp", "unknown")
ON = st.lists(st.sampled_from(["dmz", "cell", "mx1", "wan", "10.77.0.2", "2001:db8::/48"]), max_size=2, unique=True)
FROM = st.lists(st.sampled_from(["wan", "local", "cell"]), max_size=2, unique=True)
SPOKEN = st.lists(st.sampled_from(["ssh", "smtp"]), max_size=2, unique=True)
ENTRY = st.fixed_dictionaries(
    {"on": ON, "from": FROM, "service": SPOKEN, "ports": st.sampled_from(["", "22", "25,110", "1-100"])}
)
ROW = st.tuples(st.sampled_from(HOSTS), st.sampled_from(PORTS), st.sampled_from(NAMES), st.booleans())


def means(policy: Policy, rule: dict[str, Any], row: tuple[str, int, str, bool]) -> str:
    """The definition, spelt out: yes, no, or likely (all but a service that is only guessed)."""
    ip, port, name, guessed = row
    inside = {name: policy.zone_name(ip) == name for name in ("dmz", "cell", "wan")}
    inside |= {"mx1": ip in {"10.77.0.2", "2001:db8::2"}, "10.77.0.2": ip == "10.77.0.2", "2001:db8::/48": ip == "2001:db8::2"}
    wanted = {"": PORTS, "22": (22,), "25,110": (25, 110), "1-100": (22, 25)}[rule["ports"]]
    if (rule["on"] and not any(inside[place] for place in rule["on"])) or port not in wanted:
        return "no"
    if rule["from"] and not {"local", "wan"} & set(rule["from"]):
        return "no"
    if rule["service"] and name not in rule["service"]:
        return "no"
    return "likely" if rule["service"] and guessed else "yes"


def rank(policy: Policy, closed: list[dict[str, Any]], expects: list[tuple[dict[str, Any], bool]], row: Any) -> str:
    for answer, kind in (("yes", "forbidden"), ("likely", "not-measured")):
        if any(means(policy, rule, row) == answer for rule in closed):
            return kind
    for valid, answer, kind in ((True, "yes", "expected"), (False, "yes", "expired"), (True, "likely", "not-measured")):
        if any(means(policy, rule, row) == answer for rule, ok in expects if ok is valid):
            return kind
    return "unexpected"


def table(name: str, rule: dict[str, Any], **more: str) -> str:
    keys = {key: str(value).replace("'", '"') for key, value in rule.items() if key != "ports" and value}
    return entry(name, **({"on": "", "service": "", "ports": f'"{rule["ports"]}"' if rule["ports"] else ""} | keys | more))


@settings(max_examples=60)
@given(st.lists(ENTRY, max_size=3), st.lists(st.tuples(ENTRY, st.booleans()), max_size=3), st.lists(ROW, max_size=8))
def test_precedence_by_brute_force(closed: list[Any], expects: list[Any], rows: list[Any]) -> None:
    closed = [rule for rule in closed if rule["on"] or rule["service"] or rule["ports"]]
    expects = [(rule, valid) for rule, valid in expects if rule["service"] or rule["ports"]]
    tables = [table("closed", rule) for rule in closed]
    tables += [table("expect", rule, expires="2027-01-01" if valid else "2026-01-01") for rule, valid in expects]
    policy = read(*(t.replace("seen_from", "from") for t in tables))
    unique = {(ip, port): (ip, port, name, guessed) for ip, port, name, guessed in rows}
    services: dict[Endpoint, Service] = {}
    for ip, port, name, guessed in unique.values():
        services |= service(ip, port, name, Confidence.GUESS if guessed else Confidence.CONFIRMED)
    seen = Measured(answers(*((*place, State.OPEN) for place in unique)), "local", NOW, services=services)
    verdicts = judge(policy, seen, NOW).verdicts("forbidden", "unexpected", "expired", "not-measured", "expected")
    found = {v.place: v.kind for v in verdicts if v.seen}
    assert found == {str(Endpoint(*place)): rank(policy, closed, expects, row) for place, row in unique.items()}


SPAN = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda pair: (min(pair), max(pair)))
BOXES = st.lists(st.builds(lambda a, t, u: Box(AddressSet((a,)), PortSet((t,), (u,))), SPAN, SPAN, SPAN), max_size=4)


def cells(boxes: list[Box]) -> set[tuple[int, int, str]]:
    found = set()
    for box in boxes:
        for first, last in box.addresses.ranges:
            for name, ranges in (("tcp", box.ports.tcp), ("udp", box.ports.udp)):
                found |= {(a, p, name) for a in range(first, last + 1) for low, high in ranges for p in range(low, high + 1)}
    return found


@given(BOXES, BOXES)
def test_subtraction_of_boxes(boxes: list[Box], taken: list[Box]) -> None:
    assert cells(subtract(boxes, taken)) == cells(boxes) - cells(taken)


@given(st.lists(st.integers(0, (1 << 128) - 1), max_size=8), st.lists(st.integers(0, (1 << 128) - 1), max_size=8))
def test_pieces_between_bounds(bounds: list[int], values: list[int]) -> None:
    from reconshield.addresses.arrays import HALF, count_bounds

    bounds = sorted(set(bounds + values[:2]))
    hi, lo = (np.array([divmod(value, HALF)[half] for value in values], np.uint64) for half in (0, 1))
    assert count_bounds(bounds, hi, lo).tolist() == [sum(bound <= value for bound in bounds) for value in values]
