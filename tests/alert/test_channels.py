"""Every channel against a real receiver on loopback: what arrives, and what is said of a receiver that does not take it."""

from __future__ import annotations

import json
import re
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from alert.examples import MINUTE, NOW, OPENED, STALE, carry, event, message, notice
from alert.receivers import HOST, make_certificate, server_context, stream_server, unused_port, web_server
from reconshield.alert.channels import CHANNELS
from reconshield.alert.channels.exec import run
from reconshield.alert.signing import verify
from reconshield.errors import UserError
from reconshield.model import Severity
from reconshield.report.schema import jsonl_schema

BY_NAME = {channel.name: channel for channel in CHANNELS}
SECRET = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw=="


def test_a_webhook_arrives_signed_and_by_the_schema() -> None:
    with web_server() as posts:
        outcome = carry(BY_NAME["webhook"], {"url": posts.url, "secret": SECRET})
    assert (outcome.accepted, outcome.detail) == (True, "HTTP 202")
    headers, body, path = posts.got[0]
    assert path == "/hook"
    assert verify(SECRET, headers, body, NOW + 10) is None
    told = json.loads(body)
    assert (told["key"], told["title"]) == (
        headers["webhook-id"],
        "[High 54] 110/tcp opened on mail-1 (10.77.0.2), not expected",
    )
    jsonschema.validate(told["alerts"][0], jsonl_schema())
    assert told["alerts"][0]["risk"]["factors"][-1]["name"] == "newly-opened"


WRONG = [
    ("another secret", "the signature does not fit"),
    ("body", "the signature does not fit"),
    ("key", "the signature does not fit"),
    ("late", "the timestamp is outside the window: an old request, or a clock that is wrong"),
    ("early", "the timestamp is outside the window: an old request, or a clock that is wrong"),
    ("stamp", "the timestamp is no number"),
    ("missing", "a webhook header is missing"),
]


@pytest.mark.parametrize(("what", "why"), WRONG)
def test_a_forged_or_replayed_webhook_is_told_apart(what: str, why: str) -> None:
    with web_server() as posts:
        carry(BY_NAME["webhook"], {"url": posts.url, "secret": SECRET})
    headers, body, _ = posts.got[0]
    changed = {"key": {"webhook-id": "0" * 32}, "stamp": {"webhook-timestamp": "soon"}, "missing": {"webhook-signature": ""}}
    said = verify(
        "wrong" if what == "another secret" else SECRET,
        headers | changed.get(what, {}),
        body + b" " if what == "body" else body,
        NOW + {"late": 301, "early": -301}.get(what, 0),
    )
    assert said == why


def test_every_attempt_has_the_same_key_and_a_stamp_of_its_own() -> None:
    with web_server() as posts:
        for at in (NOW, NOW + 3600):
            carry(BY_NAME["webhook"], {"url": posts.url, "secret": SECRET}, at=at)
    first, second = (headers for headers, _, _ in posts.got)
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 3600


def test_a_receiver_that_does_not_take_it() -> None:
    hook = {"url": f"http://{HOST}:{unused_port()}/", "secret": SECRET}
    assert carry(BY_NAME["webhook"], hook).detail == "connection refused"
    with web_server(status=503, headers={"Retry-After": "120"}) as posts:
        outcome = carry(BY_NAME["webhook"], {"url": posts.url, "secret": SECRET})
        assert (outcome.accepted, outcome.wait) == (False, 120.0)
        assert outcome.detail.startswith("HTTP 503")
    with web_server() as target, web_server(status=302, headers={"Location": "/"}) as posts:
        posts.headers["Location"] = target.url
        assert not carry(BY_NAME["webhook"], {"url": posts.url, "secret": SECRET}).accepted
        assert target.got == []  # a redirect is not followed


def test_https_is_checked_against_the_authority(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    with web_server(server_context(certificate, key)) as posts:
        trusted = {"url": posts.url, "secret": SECRET, "ca": str(certificate)}
        assert carry(BY_NAME["webhook"], trusted).accepted
        refused = carry(BY_NAME["webhook"], {"url": posts.url, "secret": SECRET})
    assert refused.detail.startswith("the certificate is not trusted")
    assert len(posts.got) == 1


def test_alertmanager_gets_labels_that_stay_and_an_end() -> None:
    with web_server(status=200) as posts:
        settings = {"url": posts.url.removesuffix("/hook"), "token": "t0ken"}
        assert carry(BY_NAME["alertmanager"], settings).accepted
        worse = replace(message(replace(OPENED, severity=Severity.CRITICAL), "updated"), severity_before=Severity.HIGH)
        assert carry(BY_NAME["alertmanager"], settings, notice(worse)).accepted
        over = message(status="resolved", resolved_at=NOW + 34 * MINUTE, ending="closed")
        assert carry(BY_NAME["alertmanager"], settings, notice(over)).accepted
    (headers, body, path), second, third = posts.got
    opened = json.loads(body)
    assert (path, headers["authorization"]) == ("/api/v2/alerts", "Bearer t0ken")
    assert opened[0]["labels"]["alertname"] == "ReconShieldOpened"
    assert opened[0]["labels"]["severity"] == "high"
    assert opened[0]["generatorURL"].startswith("https://recon.example/")
    assert opened[0]["endsAt"] > "2027-11"
    ended, begun = json.loads(second[1])  # the old label ends, the new one begins
    assert (ended["labels"]["severity"], ended["endsAt"][:10]) == ("high", "2026-11-23")
    assert (begun["labels"]["severity"], begun["endsAt"][:4]) == ("critical", "2027")
    resolved = json.loads(third[1])[0]
    assert resolved["labels"] == opened[0]["labels"]
    assert resolved["endsAt"] == "2026-11-23T10:20:12.000Z"


class Mailbox:
    """What the mail server took."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.tls: list[bool] = []

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.got.append(envelope.content)
        self.tls.append(session.ssl is not None)
        return "250 taken" if b"refuse me" not in envelope.content else "554 no"


@contextmanager
def mail_server(context: ssl.SSLContext | None = None, **options: Any) -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    controller = Controller(box, hostname=HOST, port=unused_port(), tls_context=context, **options)
    controller.start()
    try:
        yield box, controller.port
    finally:
        controller.stop()


def test_mail_goes_by_starttls(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    settings = {"host": HOST, "from": "recon@example.org", "to": "soc@example.org, boss@example.org", "ca": str(certificate)}

    def known(server: object, session: object, envelope: object, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"recon", b"pass"), handled=False)

    login = {"user": "recon", "password": "pass"}
    with mail_server(server_context(certificate, key), authenticator=known, require_starttls=True) as (box, port):
        outcome = carry(BY_NAME["email"], settings | login | {"port": port})
        again = carry(BY_NAME["email"], settings | login | {"port": port}, at=NOW + 60)
        wrong = carry(BY_NAME["email"], settings | login | {"port": port, "password": "guess"})
        untrusted = carry(BY_NAME["email"], settings | {"port": port, "ca": str(make_certificate(tmp_path)[0])})
    assert outcome.accepted, outcome.detail
    assert again.accepted
    assert wrong.detail.startswith("the mail server refused it: 535")
    assert untrusted.detail.startswith("the certificate is not trusted")
    first, second = (message_from_bytes(data, policy=policy.default) for data in box.got)
    assert box.tls == [True, True]
    assert first["Subject"] == "[High 54] 110/tcp opened on mail-1 (10.77.0.2), not expected"
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Auto-Submitted"] == "auto-generated"
    assert "Risk     54 High = 44 base + 10 newly opened" in first.get_content()


def test_mail_never_falls_back_to_clear_text() -> None:
    with mail_server() as (box, port):  # offers no STARTTLS
        settings = {"host": HOST, "port": port, "from": "a@example.org", "to": "b@example.org"}
        assert "STARTTLS" in carry(BY_NAME["email"], settings).detail.upper()
        with pytest.raises(UserError, match="clear text"):
            carry(BY_NAME["email"], settings | {"security": "none", "user": "u", "password": "p"})
        assert box.got == []
        assert carry(BY_NAME["email"], settings | {"security": "none"}).accepted
        refused = carry(BY_NAME["email"], settings | {"security": "none"}, notice(message(replace(OPENED, why="refuse me"))))
    assert refused.detail == "the mail server refused it: 554 no"


RFC5424 = re.compile(
    r"<(\d+)>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) scanner-1 reconshield \d+ opened "
    r'\[reconshield@32473 key="([0-9a-f]{32})" id="a81" fingerprint="9f2c41d07be3a155" status="open"\] \ufeff(.*)',
    re.DOTALL,
)


def test_syslog_over_udp_is_rfc_5424_with_cef() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind((HOST, 0))
        receiver.settimeout(5)
        settings = {"host": HOST, "port": receiver.getsockname()[1]}
        assert carry(BY_NAME["syslog"], settings).accepted
        found = RFC5424.fullmatch(receiver.recv(65536).decode())
    assert found is not None
    assert (found[1], found[2]) == (str(20 * 8 + 3), "2026-11-23T09:46:12.000Z")
    head, extension = found[4].split("|", 7)[:7], found[4].split("|", 7)[7]
    assert head[:2] == ["CEF:0", "ReconShield"]
    assert head[4:] == ["opened", "[High 54] 110/tcp opened on mail-1 (10.77.0.2), not expected", "8"]
    for part in ("dst=10.77.0.2", "dpt=110", "proto=TCP", "externalId=9f2c41d07be3a155", "cn1=54 cn1Label=risk"):
        assert part in extension


def test_cef_and_structured_data_are_escaped() -> None:
    hostile = replace(OPENED, title='a|b\\c] "d"\n=e', why="x=y|z\r\nCEF:0|")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind((HOST, 0))
        receiver.settimeout(5)
        carry(BY_NAME["syslog"], {"host": HOST, "port": receiver.getsockname()[1]}, notice(message(hostile)))
        text = receiver.recv(65536).decode()
    assert "\n" not in text
    assert "\r" not in text
    assert "a\\|b\\\\c] " in text
    assert "reason=x\\=y|z" in text


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_syslog_over_a_stream_counts_octets(transport: str, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    context = server_context(certificate, key) if transport == "tls" else None
    told = notice(message(), message(STALE, number=82))
    with stream_server(context) as (port, got):
        settings = {"host": HOST, "port": port, "transport": transport, "format": "json", "ca": str(certificate)}
        outcome = carry(BY_NAME["syslog"], settings, told)
    assert outcome.accepted, outcome.detail
    data, records = got[0], []
    while data:
        length, _, rest = data.partition(b" ")
        records.append(rest[: int(length)])
        data = rest[int(length) :]
    payloads = [json.loads(record.decode().partition("\ufeff")[2]) for record in records]
    assert [payload["id"] for payload in payloads] == ["a81", "a82"]
    assert payloads[0]["title"].startswith("[High 54]")


def test_syslog_that_cannot_be_reached() -> None:
    settings = {"host": HOST, "port": unused_port(), "transport": "tcp"}
    assert carry(BY_NAME["syslog"], settings).detail == "connection refused"


def test_a_file_gets_one_line_a_message(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    for _ in range(2):
        assert carry(BY_NAME["file"], {"path": str(path)}, notice(message(), message(STALE))).accepted
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["change"] for line in lines] == ["opened", "stale"] * 2
    for line in lines:
        jsonschema.validate(line, jsonl_schema())
    assert path.stat().st_mode & 0o777 == 0o600
    assert "no such file" in carry(BY_NAME["file"], {"path": str(tmp_path / "none" / "x")}).detail


def test_a_command_gets_json_and_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOC_WEBHOOK_SECRET", "do not pass on")
    script = tmp_path / "hook.py"
    script.write_text(
        "import json, os, sys\n"
        f"out = open({str(tmp_path / 'out')!r}, 'w')\n"
        "json.dump([json.load(sys.stdin)['title'], os.environ['RECONSHIELD_KEY'], 'SOC_WEBHOOK_SECRET' in os.environ], out)\n"
    )
    assert carry(BY_NAME["exec"], {"command": f"{sys.executable} {script}"}).accepted
    title, key, leaked = json.loads((tmp_path / "out").read_text())
    assert (title[:9], key, leaked) == ("[High 54]", notice().key, False)


def test_a_command_that_fails() -> None:
    assert carry(BY_NAME["exec"], {"command": "sh -c 'echo no mail server >&2; exit 3'"}).detail == "exit 3: no mail server"
    assert carry(BY_NAME["exec"], {"command": "/no/such/command"}).detail.startswith("the command cannot be run: no such file")
    assert run(["sh", "-c", "sleep 60 & sleep 60"], b"", {"PATH": "/usr/bin:/bin"}, 0.1) == (None, "")
    with pytest.raises(UserError, match="cannot be split"):
        carry(BY_NAME["exec"], {"command": "sh 'open quote"})


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Apprise's own import, up to Python 3.12
def test_chats_go_through_apprise() -> None:
    with web_server(status=200) as posts:
        url = posts.url.replace("http://", "json://")
        assert carry(BY_NAME["apprise"], {"url": url}).accepted
        posts.status = 500
        refused = carry(BY_NAME["apprise"], {"url": url})
    told = json.loads(posts.got[0][1])
    assert told["title"].startswith("[High 54]")
    assert "Why: login possible in clear text" in told["message"]
    assert not refused.accepted
    assert url not in refused.detail
    with pytest.raises(UserError, match="does not know"):
        carry(BY_NAME["apprise"], {"url": "nonsense"})


MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("webhook", {"url": "http://x/"}, "needs 'secret'"),
    ("webhook", {"url": "http://x/", "secret": "s", "colour": "red"}, "has no 'colour'"),
    ("syslog", {"host": "x", "transport": "pigeon"}, "transport cannot be 'pigeon'"),
    ("syslog", {"host": HOST, "port": "70000"}, "no number from 1 to 65535"),
    ("webhook", {"url": "gopher://x/", "secret": "s"}, "no http or https address"),
    ("webhook", {"url": "http://[::1", "secret": "s"}, "no http or https address"),
    ("webhook", {"url": "https://x/", "secret": "s", "ca": "/no/such/file"}, "certificates cannot be read"),
]


@pytest.mark.parametrize(("name", "settings", "words"), MISTAKES)
def test_a_mistake_in_the_settings_is_named(name: str, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        carry(BY_NAME[name], settings)


def test_many_messages_to_every_plain_receiver(tmp_path: Path) -> None:
    many = notice(*(message(event(n), number=n) for n in range(1, 1001)))
    with web_server() as posts:
        assert carry(BY_NAME["webhook"], {"url": posts.url, "secret": SECRET}, many).accepted
    assert len(json.loads(posts.got[0][1])["alerts"]) == 1000
    assert carry(BY_NAME["file"], {"path": str(tmp_path / "x")}, many).accepted
