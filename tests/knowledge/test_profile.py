"""The profile: every number answers, names lead to ports, and what is registered, run and used stays apart."""

from __future__ import annotations

import pytest

from reconshield.errors import UserError
from reconshield.knowledge.index import load_index
from reconshield.knowledge.names import ports_of
from reconshield.knowledge.ports import top_ports, usual_service
from reconshield.knowledge.profile import base_for, find_port, profile, profile_by_name
from reconshield.knowledge.registry import range_class, registered_names
from reconshield.knowledge.risk import UNKNOWN


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_every_number_answers(transport: str) -> None:
    """One true profile for each of the 65,536 numbers: rated, classed, and named as the registry names it."""
    documented = 0
    for port in range(65536):
        found = profile(port, transport)[0]
        documented += found.entry is not None
        assert (found.port, found.transport, found.range) == (port, transport, range_class(port))
        assert found.registered[transport] == registered_names(port, transport)
        assert found.answer
        assert 0 <= found.risk.score <= 100
        if found.entry is None:
            assert found.risk is UNKNOWN
            assert found.service is None
    assert documented == sum(name == transport for _, name in load_index().ports)


SHOWN = [
    # what is asked, the profiles: port, transport, service, registered on the transport
    (110, [(110, "tcp", "pop3", ("pop3",))]),
    (53, [(53, "udp", "dns", ("domain",)), (53, "tcp", "dns", ("domain",))]),  # the likelier transport first
    (389, [(389, "tcp", "ldap", ("ldap",)), (389, "udp", "cldap", ("ldap",))]),
    (9200, [(9200, "tcp", "elasticsearch", ("wap-wsp",))]),  # registered for something else
    (10250, [(10250, "tcp", "kubelet", ())]),  # not registered at all
    (5, [(5, "tcp", None, ("rje",))]),
    (65535, [(65535, "tcp", None, ())]),
]


@pytest.mark.parametrize(("port", "expected"), SHOWN, ids=[str(row[0]) for row in SHOWN])
def test_port(port: int, expected: list[tuple[int, str, str | None, tuple[str, ...]]]) -> None:
    assert [(row.port, row.transport, row.service, row.registered[row.transport]) for row in profile(port)] == expected


def test_the_transport_that_nobody_uses_is_not_the_service() -> None:
    found = profile(110, "udp")[0]
    assert (found.service, found.registered["udp"], found.in_use) == (None, ("pop3",), ("tcp",))
    assert found.answer.startswith("POP3 uses this number over tcp only.")


NAMES = [
    ("pop3", [(110, "tcp"), (995, "tcp")]),
    ("POP3", [(110, "tcp"), (995, "tcp")]),
    ("pop3s", [(995, "tcp")]),  # a registered name means its own port
    ("submission", [(587, "tcp")]),
    ("rje", [(5, "tcp")]),  # only the registry knows it
]


@pytest.mark.parametrize(("name", "expected"), NAMES, ids=[row[0] for row in NAMES])
def test_name(name: str, expected: list[tuple[int, str]]) -> None:
    assert [(row.port, row.transport) for row in profile_by_name(name)] == expected


@pytest.mark.parametrize(
    ("name", "hint"), [("popp3", "pop3"), ("rediss", "redis"), ("postgress", "postgres"), ("elasticsaerch", "elasticsearch")]
)
def test_unknown_name_suggests_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(UserError) as told:
        profile_by_name(name)
    assert told.value.hint is not None
    assert told.value.hint.startswith(f"reconshield port {hint}")


@pytest.mark.parametrize("port", [-1, 65536, 70000])
def test_a_number_that_is_no_port(port: int) -> None:
    with pytest.raises(UserError, match="out of range"):
        profile(port)


@pytest.mark.parametrize(("text", "port"), [("110", 110), (" 0 ", 0), ("pop3", None), ("3com-tsmux", None), ("۱۱۰", 110)])
def test_find_port(text: str, port: int | None) -> None:
    assert find_port(text) == port


@pytest.mark.parametrize("text", ["70000", "-1", "9" * 5000])
def test_find_port_refuses(text: str) -> None:
    with pytest.raises(UserError, match="out of range"):
        find_port(text)


def test_ports_of() -> None:
    assert ports_of("pop3") == (("tcp", 110), ("tcp", 995))
    assert ports_of("domain", "udp") == (("udp", 53),)
    assert {("tcp", 25), ("tcp", 143), ("tcp", 993)} <= set(ports_of("@mail"))
    assert ports_of("@email") == ports_of("@mail")
    assert {transport for transport, _ in ports_of("@common-udp")} == {"udp"}
    assert {("udp", 161), ("udp", 53)} <= set(ports_of("@common-udp"))
    assert ports_of("vrml-multi-use", "tcp")[0] == ("tcp", 4200)
    assert len(ports_of("vrml-multi-use")) == 200
    with pytest.raises(UserError) as told:
        ports_of("@mial")
    assert told.value.hint == "-p @mail"


def test_top_ports() -> None:
    whole = top_ports(65535)
    assert sorted(whole) == list(range(1, 65536))
    assert {22, 80, 443, 25, 110, 3389} <= set(whole[:200])
    assert top_ports(10) == whole[:10]
    assert top_ports(0) == ()
    for wanted in ("tcp", "udp"):  # all that is documented comes before all that is not, the most common included
        documented = {port for port, transport in load_index().ports if transport == wanted and port > 0}
        assert set(top_ports(len(documented), wanted)) == documented


def test_usual_service() -> None:
    assert [usual_service(*pair) for pair in [(110, "tcp"), (110, "udp"), (53, "udp"), (40001, "tcp")]] == [
        "pop3",
        None,
        "dns",
        None,
    ]


BASES = [
    ("pop3", 110, "starttls", 44),
    ("pop3", 995, "implicit", 28),
    ("pop3", 8110, "none", 44),  # found on a port that is not its own
    ("pop3", 8995, "implicit", 28),
    ("pop3", 110, "implicit", 28),  # TLS where none is usual: what was seen counts
    ("unknown", 110, "none", 27),
]


@pytest.mark.parametrize(("service", "port", "tls", "score"), BASES)
def test_base_of_an_identified_service(service: str, port: int, tls: str, score: int) -> None:
    assert base_for(service, port, "tcp", tls).score == score
