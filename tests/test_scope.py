"""What the rules of scope allow, drop and refuse; and that nothing else makes Targets."""

import copy
import dataclasses
import pickle
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconshield import scope
from reconshield.addresses import LOOPBACK, NEVER, AddressSet, parse_target, text_of
from reconshield.errors import Refused
from reconshield.scope import Grant, GrantTarget, Refusal, Request, Targets, authorise

NOW = 1_000_000.0
DAY = 86400.0
OWN = LOOPBACK | AddressSet.of("10.77.0.200", "2001:db8::200")


def addresses(*texts: str) -> AddressSet:
    return scope.union_of(parse_target(text, wide=True).addresses or AddressSet() for text in texts)


def grant(key: str, *targets: str, level: int = 3, without: tuple[str, ...] = (), until: float = NOW + DAY) -> Grant:
    return Grant(
        id=key,
        by="Ada",
        targets=tuple(GrantTarget(text, addresses(text)) for text in targets),
        exclusions=tuple(GrantTarget(text, addresses(text)) for text in without),
        level=level,
        valid_from=NOW - DAY,
        until=until,
    )


def changed(made: Grant, changes: dict[str, object]) -> Grant:
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]  # any field


def name_grant(key: str, name: str, *answers: str) -> Grant:
    return dataclasses.replace(grant(key, *answers), targets=(GrantTarget(name, addresses(*answers), name),))


def ask(*targets: str, without: tuple[str, ...] = (), level: int | None = None) -> Request:
    return Request(tuple(map(parse_target, targets)), tuple(parse_target(text, wide=True) for text in without), level)


def decide(
    request: Request, *grants: Grant, names: dict[str, AddressSet] | None = None, own: AddressSet = OWN
) -> Targets | Refusal:
    return authorise(request, grants, own, names or {}, NOW, broadcast=AddressSet.of("10.77.0.0", "10.77.0.255"))


def allowed(answer: Targets | Refusal) -> Targets:
    assert isinstance(answer, Targets), answer
    return answer


def refused(answer: Targets | Refusal) -> Refusal:
    assert isinstance(answer, Refusal), answer
    return answer


G3 = grant("g3", "10.77.0.0/16", without=("10.77.0.9", "10.77.0.40"))
G4 = grant("g4", "192.0.2.0/24", "2001:db8::/64", level=2)
G5 = grant("g5", "10.77.1.0/24", level=4)


@pytest.mark.parametrize(
    ("request_", "result", "level", "used"),
    [
        (ask("10.77.0.2"), "10.77.0.2", 3, ("g3",)),
        (ask("10.77.3.2", "192.0.2.1"), "10.77.3.2, 192.0.2.1", 2, ("g3", "g4")),
        (ask("10.77.1.2"), "10.77.1.2", 4, ("g5",)),
        (ask("10.77.1.2", level=3), "10.77.1.2", 3, ("g3", "g5")),
        (ask("10.77.1.0/24", "10.77.2.1"), "10.77.1.0/24, 10.77.2.1", 3, ("g3", "g5")),
        (ask("2001:db8::7", "2001:db8::200"), "2001:db8::7, 2001:db8::200", 2, ("g4",)),
        (ask("127.0.0.1", "::1", "10.77.0.200"), "::1, 10.77.0.200, 127.0.0.1", 4, ()),
        (ask("10.77.0.200", "10.77.0.2"), "10.77.0.2, 10.77.0.200", 3, ("g3",)),
        (ask("10.77.0.8-10"), "10.77.0.8, 10.77.0.10", 3, ("g3",)),
        (ask("10.77.0.0/30"), "10.77.0.1-3", 3, ("g3",)),
        (ask("10.77.0.4-6", without=("10.77.0.5",)), "10.77.0.4, 10.77.0.6", 3, ("g3",)),
    ],
)
def test_a_covered_request_becomes_targets(request_: Request, result: str, level: int, used: tuple[str, ...]) -> None:
    targets = allowed(decide(request_, G3, G4, G5))
    assert (targets.addresses.text(), targets.level, targets.grants) == (result, level, used)


@pytest.mark.parametrize(
    ("request_", "address", "says", "why", "next_"),
    [
        (
            ask("203.0.113.7"),
            "203.0.113.7",
            "no grant covers 203.0.113.7",
            "2 grants are valid now: g3 (10.77.0.0/16), g4 (192.0.2.0/24, 2001:db8::/64)",
            '203.0.113.7 --authorized-by "NAME"',
        ),
        (ask("10.77.255.0-10.78.0.255"), "10.78.0.0", "no grant covers 10.78.0.0 and 255 more", "valid now", "--authorized-by"),
        (
            ask("10.77.0.2", "203.0.113.7"),
            "203.0.113.7",
            "no grant covers 203.0.113.7",
            "valid now",
            "10.77.0.2 203.0.113.7 --auth",
        ),
        (ask("10.77.0.9"), "10.77.0.9", "every address is excluded", "excluded by grant g3 (10.77.0.9)", "grant list"),
        (
            ask("10.77.0.2", without=("10.0.0.0/8",)),
            "10.77.0.2",
            "every address is excluded",
            "excluded by this request",
            "grant list",
        ),
        (
            ask("127.0.0.1", without=("127.0.0.0/8",)),
            "127.0.0.1",
            "every address is excluded",
            "excluded by this request",
            "grant list",
        ),
        (ask("10.77.0.255"), "10.77.0.255", "10.77.0.255 is never measured", "broadcast", "host"),
        (ask("10.77.0.2", "224.0.0.1"), "224.0.0.1", "224.0.0.1 is never measured", "multicast", "host"),
        (ask("0.0.0.0"), "0.0.0.0", "never measured", "unspecified", "host"),
        (
            ask("192.0.2.1", level=3),
            "192.0.2.1",
            "no grant covers 192.0.2.1 at level 3",
            "grant g4 allows level 2 (port scan)",
            "repeat with --level 2",
        ),
        (ask("10.77.0.2", level=1), None, "nothing is sent on this level", "level 1 means passive", "--level 2"),
        (ask("10.77.0.2", level=9), None, "nothing is sent on this level", "there is no level 9", "--level 2"),
        (ask(), None, "no target was given", "an empty scope is nothing", "reconshield scan TARGET"),
    ],
)
def test_a_refusal_says_which_address_why_and_what_would_allow_it(
    request_: Request, address: str | None, says: str, why: str, next_: str
) -> None:
    refusal = refused(decide(request_, G3, G4))
    assert refusal.address == address
    assert says in refusal.message
    assert why in " ".join(refusal.why)
    assert next_ in refusal.command


def test_the_error_of_a_refusal_reads_as_designed() -> None:
    request = dataclasses.replace(ask("203.0.113.7"), options="-p 110")
    error = refused(decide(request, G3)).to_error()
    assert isinstance(error, Refused)
    assert error.exit_code == 3
    assert str(error) == "no grant covers 203.0.113.7. Nothing was sent."
    assert error.where == "1 grant is valid now: g3 (10.77.0.0/16)"
    assert (
        error.hint == 'if its owner allowed it, say who and repeat:\nreconshield scan 203.0.113.7 -p 110 --authorized-by "NAME"'
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"until": NOW}, "g1 covers it, but it has expired"),
        ({"valid_from": NOW + 1}, "g1 covers it, but it is not valid yet"),
        ({"revoked_at": NOW}, "g1 covers it, but it was revoked"),
    ],
)
def test_a_grant_counts_only_in_its_window_and_until_it_is_revoked(changes: dict[str, object], why: str) -> None:
    refusal = refused(decide(ask("10.1.1.1"), changed(grant("g1", "10.0.0.0/8"), changes)))
    assert refusal.why == ("no grant is valid now", why)
    allowed(decide(ask("10.1.1.1"), changed(grant("g1", "10.0.0.0/8", until=NOW + 0.1), {"valid_from": NOW})))


@pytest.mark.parametrize("level", [0, 1])
def test_the_lowest_levels_never_allow_a_packet(level: int) -> None:
    refused(decide(ask("10.1.1.1"), grant("g1", "10.0.0.0/8", level=level)))


def test_level_zero_is_an_exclusion_whatever_else_is_granted() -> None:
    never = grant("g9", "10.77.0.50", level=0)
    targets = allowed(decide(ask("10.77.0.49-51"), G3, never))
    assert targets.addresses.text() == "10.77.0.49, 10.77.0.51"
    assert [(drop.addresses.text(), drop.why) for drop in targets.dropped] == [
        ("10.77.0.50", "grant g9 has level 0, never touch")
    ]
    refused(decide(ask("10.77.0.50"), G3, never))


def test_exclusions_win_over_every_grant_and_over_exemption() -> None:
    other = grant("g7", "10.77.0.9")
    refused(decide(ask("10.77.0.9"), G3, other))
    refused(decide(ask("10.77.0.200"), grant("g8", "10.0.0.0/8", without=("10.77.0.200",))))
    ended = dataclasses.replace(G3, until=NOW)
    allowed(decide(ask("10.77.0.9"), ended, other))


def test_what_is_dropped_is_listed_with_the_reason() -> None:
    targets = allowed(decide(ask("10.77.0.0/24", without=("10.77.0.16/28",)), G3))
    assert [(drop.addresses.text(), drop.why) for drop in targets.dropped] == [
        ("10.77.0.0, 10.77.0.255", "never measured: multicast, broadcast, reserved or unspecified"),
        ("10.77.0.16/28", "excluded by this request (10.77.0.16/28)"),
        ("10.77.0.9", "excluded by grant g3 (10.77.0.9)"),
        ("10.77.0.40", "excluded by grant g3 (10.77.0.40)"),
    ]
    assert targets.addresses.count == 256 - 2 - 16 - 2


def test_nothing_is_exempt_where_no_own_addresses_are_passed() -> None:
    refusal = refused(decide(ask("127.0.0.1"), G3, own=AddressSet()))
    assert refusal.message == "no grant covers 127.0.0.1"


def test_a_name_is_measured_where_it_was_when_it_was_granted() -> None:
    named = name_grant("g6", "mx.example", "198.51.100.1", "198.51.100.2")
    targets = allowed(decide(ask("mx.example"), named, names={"mx.example": addresses("198.51.100.1")}))
    assert targets.addresses.text() == "198.51.100.1"
    assert dict(targets.names) == {"198.51.100.1": "mx.example"}
    moved = refused(decide(ask("MX.example."), named, names={"mx.example": addresses("198.51.100.1", "203.0.113.1")}))
    assert moved.message == "mx.example is now at 203.0.113.1, which no grant covers"
    assert "198.51.100.1-2" in moved.why[0]
    assert "reconshield grant refresh g6" in moved.command
    unknown = refused(decide(ask("mx.example"), named))
    assert unknown.message == "mx.example has no address now"


def test_an_excluded_name_is_excluded_where_it_was_and_where_it_is() -> None:
    printer = GrantTarget("printer.example", addresses("10.77.0.60"), "printer.example")
    g = dataclasses.replace(G3, exclusions=(printer,))
    targets = allowed(decide(ask("10.77.0.59-62"), g, names={"printer.example": addresses("10.77.0.61")}))
    assert targets.addresses.text() == "10.77.0.59, 10.77.0.62"


def test_long_lists_of_targets_and_exclusions_are_decided_quickly() -> None:
    singles = [f"10.1.{n >> 7}.{2 * n & 255}" for n in range(10_000)]
    g = grant("g1", "10.0.0.0/8", without=tuple(singles[::2]))
    request = ask(*singles)
    began = time.process_time()
    targets = allowed(decide(request, g))
    assert time.process_time() - began < 20  # not a measurement: each with each would take minutes
    assert targets.addresses.count == 5_000
    assert len(targets.dropped) == 5_000


@pytest.mark.parametrize(
    "spelling",
    [
        "203.0.113.7",
        "203.0.28935",
        "0xcb007107",
        "3405803783",
        "0313.0.0161.07",
        "::ffff:203.0.113.7",
        "::ffff:cb00:7107",
        "２０３.0.113.7",
        "203.0.113.7.",
    ],
)
def test_no_spelling_gets_round_a_grant_or_an_exclusion(spelling: str) -> None:
    refused(decide(ask(spelling), G3))
    refused(decide(ask(spelling), grant("g1", "203.0.113.0/24", without=("203.0.113.7",))))
    targets = allowed(decide(ask(spelling), grant("g1", "203.0.113.7")))
    assert targets.allows(spelling.replace("２０３", "203").removesuffix("."))
    assert not targets.allows("203.0.113.8")
    assert not targets.allows("mail.example")


def test_only_authorise_makes_targets() -> None:
    real = allowed(decide(ask("10.77.0.2"), G3))
    with pytest.raises(TypeError):
        Targets(addresses=real.addresses, level=4)  # type: ignore[call-arg]  # that is the point
    with pytest.raises(TypeError, match=r"only scope\.authorise"):
        Targets(addresses=real.addresses, level=4, seal=object())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"only scope\.authorise"):
        Targets(addresses=real.addresses, level=4, seal=scope._Seal())
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(real, level=4)  # type: ignore[call-arg]
    with pytest.raises(dataclasses.FrozenInstanceError):
        real.level = 4  # type: ignore[misc]
    with pytest.raises(TypeError):
        real.names["10.0.0.1"] = "x"  # type: ignore[index]
    assert copy.copy(real) is real
    assert copy.deepcopy(real) is real
    with pytest.raises(TypeError):
        pickle.dumps(real)
    with pytest.raises(TypeError):
        object.__new__(Targets).__setstate__([])
    with pytest.raises(TypeError):
        type("Forged", (Targets,), {})


def test_nobody_else_names_the_seal() -> None:
    root = Path(scope.__file__).parent
    assert [path.name for path in root.rglob("*.py") if "_SEAL" in path.read_text("utf-8")] == ["scope.py"]


V4 = 0xFFFF_0000_0000
BASE = V4 | 0x0A4D0000
points = st.integers(0, 63).map(BASE.__add__)
spans = st.tuples(points, points).map(lambda pair: AddressSet(((min(pair), max(pair)),)))
grants = st.builds(
    lambda inside, outside, level, shift, gone: dataclasses.replace(
        grant("g1", level=level),
        targets=(GrantTarget("t", inside),),
        exclusions=(GrantTarget("x", outside),),
        valid_from=NOW + shift,
        until=NOW + shift + 10,
        revoked_at=NOW if gone else None,
    ),
    spans, spans, st.integers(0, 4), st.sampled_from([-20, -5, -5, -5, 5]), st.sampled_from([False, False, True]),
)  # fmt: skip
SPELLINGS = [
    text_of,
    lambda value: f"::ffff:{text_of(value)}",
    lambda value: f"::ffff:{value >> 16 & 0xFFFF:x}:{value & 0xFFFF:x}",
    lambda value: str(value & 0xFFFFFFFF),
    lambda value: hex(value & 0xFFFFFFFF),
    lambda value: f"10.{value & 0xFFFFFF}",
    lambda value: f"{text_of(value)}/32",
    lambda value: f"{text_of(value)}-{value & 255}",
]
spelled = st.tuples(points, st.sampled_from(SPELLINGS)).map(lambda pair: pair[1](pair[0])) | spans.map(
    lambda span: f"{text_of(span.ranges[0][0])}-{text_of(span.ranges[-1][1])}"
)


@given(
    st.lists(spelled, min_size=1, max_size=4),
    st.lists(spelled, max_size=2),
    st.lists(grants, max_size=4),
    st.none() | st.integers(2, 4),
    spans,
)
def test_no_address_outside_granted_minus_excluded_is_ever_in_targets(
    asked: list[str], without: list[str], given_: list[Grant], level: int | None, own: AddressSet
) -> None:
    """The rules again, one address at a time, against the set algebra of `authorise`."""
    answer = authorise(ask(*asked, without=tuple(without), level=level), given_, own, {}, NOW)
    if isinstance(answer, Refusal):
        return
    valid = [g for g in given_ if g.valid_at(NOW)]
    asked_for, left_out = addresses(*asked), addresses(*without)
    for value in range(BASE - 2, BASE + 66):
        covered = value in own or any(value in g.granted and g.level >= answer.level for g in valid)
        kept_out = (
            value in left_out
            or value in NEVER
            or any(value in g.excluded or (g.level == 0 and value in g.granted) for g in valid)
        )
        assert answer.allows(value) == (value in asked_for and not kept_out)
        if answer.allows(value):
            assert covered
    assert answer.level >= 2
    assert level in (None, answer.level)
