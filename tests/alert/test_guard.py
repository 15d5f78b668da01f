"""Channels entered in the web app lead to listed, public hosts alone, and to the address that was checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from alert.examples import carry
from alert.receivers import HOST, make_certificate, server_context, web_server
from reconshield.addresses import AddressSet
from reconshield.alert.channels import CHANNELS
from reconshield.alert.guard import guard, why_not
from reconshield.errors import UserError

WEBHOOK = next(channel for channel in CHANNELS if channel.name == "webhook")
OWN = AddressSet.of("198.51.100.7")

INSIDE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "255.255.255.255",
    "224.0.0.1", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2001:0:7f00:1::1", "2001:db8::1", "fec0::1",
    "::127.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_not_public(address: str) -> None:
    assert why_not(address, AddressSet()) is not None


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "1.1.1.1"])
def test_what_is_public(address: str) -> None:
    assert why_not(address, OWN) is None
    assert why_not(address, AddressSet.of(address)) == "this server itself"


@pytest.mark.parametrize(
    ("host", "allowed", "answers", "words"),
    [
        ("hooks.example.org", ["hooks.example.org"], ["93.184.215.14"], None),
        ("HOOKS.example.org.", ["hooks.example.org"], ["93.184.215.14"], None),
        ("a.example.org", [".example.org"], ["93.184.215.14"], None),
        ("evil-example.org", [".example.org"], ["93.184.215.14"], "not on the allow-list"),
        ("hooks.example.org", [], ["93.184.215.14"], "not on the allow-list"),
        ("127.0.0.1", ["hooks.example.org"], ["127.0.0.1"], "not on the allow-list"),
        ("hooks.example.org", ["hooks.example.org"], ["93.184.215.14", "10.0.0.1"], "not public"),
    ],
)
def test_the_list_and_the_addresses(host: str, allowed: list[str], answers: list[str], words: str | None) -> None:
    admit = guard(allowed, AddressSet(), lambda _: answers)
    if words is None:
        assert admit(host, 443) == answers
    else:
        with pytest.raises(UserError, match=words):
            admit(host, 443)


def test_the_checked_address_is_the_one_that_is_connected_to(tmp_path: Path) -> None:
    """The name has no address that this machine's resolver knows: only what was admitted can have been used."""
    certificate, key = make_certificate(tmp_path)
    with web_server(server_context(certificate, key)) as posts:
        port = posts.url.split(":")[2].split("/")[0]
        settings = {"url": f"https://receiver.test:{port}/hook", "secret": "s", "ca": str(certificate)}
        assert carry(WEBHOOK, settings, admit=lambda *_: [HOST]).accepted
        assert posts.got[0][0]["host"] == f"receiver.test:{port}"
        with pytest.raises(UserError, match="must be https"):
            carry(WEBHOOK, settings | {"url": f"http://receiver.test:{port}/"}, admit=lambda *_: [HOST])
    assert len(posts.got) == 1


def test_only_channels_that_ask_the_guard_say_so() -> None:
    """A guarded channel asks before it connects; what it is refused is not sent."""

    def refuse(host: str, port: int) -> list[str]:
        raise UserError("not there", where=f"{host}:{port}")

    assert {channel.name for channel in CHANNELS if channel.guarded} == {"webhook", "alertmanager"}
    for channel in (one for one in CHANNELS if one.guarded):
        settings = (
            {"url": "https://receiver.test/", "secret": "s"} if channel.name == "webhook" else {"url": "https://receiver.test"}
        )
        with pytest.raises(UserError, match="not there"):
            carry(channel, settings, admit=refuse)
