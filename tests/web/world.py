"""A workspace with one of everything, each with hostile text wherever somebody from outside or inside can put it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from html.parser import HTMLParser
from typing import Any

import numpy as np

from reconshield.access import Role
from reconshield.addresses import AddressSet, PortSet
from reconshield.alert.message import Event
from reconshield.jobs import accounts
from reconshield.jobs.alert_trial import silence_what
from reconshield.jobs.alerting import raise_alerts
from reconshield.jobs.grants import add_grant
from reconshield.model import (
    OBSERVATION_FIELDS,
    Confidence,
    Endpoint,
    Finding,
    Reason,
    Rung,
    Service,
    Severity,
    State,
    Turn,
)
from reconshield.report.result import Summary
from reconshield.scan.plan import Plan
from reconshield.store.db import Store
from reconshield.store.exposures import save_turns
from reconshield.store.observations import save_block
from reconshield.store.runs import create_run, finish_run
from reconshield.store.services import save_service
from reconshield.web.call import Site
from reconshield.web.door import COOKIE

MARK = "xss-probe"
LINE = f"\"><{MARK} onprobe=1>'{{{{7*7}}}}<script>x</script>"
"""One printable line that would be markup."""
RAW = f"{LINE}\x1b[31m\u202e\x00"
"""The same as a banner may bring it."""
ADDRESS, PORT = "127.77.0.9", 110
PLACE = Endpoint(ADDRESS, PORT)
FINDING = "dcf9a0b5ac4d07f9"
POLICY = f"""version = 1

[[zone]]
name = "lab"
targets = ["127.77.0.0/24"]
owner = {json.dumps(LINE)}

[[asset]]
name = "box-of-main"
addresses = ["{ADDRESS}"]
owner = {json.dumps(LINE)}
tags = ["mx"]

[[expect]]
on = ["lab"]
ports = "111"
reason = {json.dumps(LINE)}
owner = {json.dumps(LINE)}
expires = 2027-06-30
"""


@dataclass(frozen=True, slots=True)
class World:
    """The ids of what is in the workspace main."""

    run: str
    other: str
    report: str
    token: str
    session: str
    link: str
    code: str
    member: str
    grant: str = "g1"
    alert: str = "a1"
    silence: str = "1"
    finding: str = FINDING

    def fill(self, path: str) -> str:
        """A route's path with the ids of what is there."""
        for beginning, name in (
            ("/settings/members/", self.member),
            ("/settings/channels/", "soc"),
            ("/detections/", self.report),
            ("/services/", "pop3"),
            ("/clusters/", "mail"),
            ("/account/sessions/", self.session),
            ("/scans/", "json"),
        ):
            if path.startswith(beginning):
                path = path.replace("{name}", name)
        given = {
            "run_id": self.run,
            "other_id": self.other,
            "endpoint:path": f"{ADDRESS}:{PORT}/tcp",
            "finding": self.finding,
            "check": "pop3-cleartext-login",
            "alert": self.alert,
            "number": self.silence,
            "grant": self.grant,
            "token": self.token,
            "link": self.link,
            "code": self.code,
            "format_": "stix",
            "port": str(PORT),
            "block": "0",
        }
        for name, value in given.items():
            path = path.replace("{" + name + "}", value)
        return path


def make_world(site: Site, person: Callable[..., Any]) -> World:
    store, now = site.store_of("main"), time.time()
    admin, analyst = person("admin"), person("analyst")
    add_grant(store, [ADDRESS], by=LINE, now=now, level=3, reason=LINE, contact=LINE, actor="tests")
    site.policy_path("main").write_text(POLICY, encoding="utf-8")
    other, run = make_run(store, now - 7200), make_run(store, now - 3600)
    words: dict[str, Any] = {"title": LINE, "what": RAW, "why": RAW, "owner": LINE, "service": RAW, "before": RAW, "after": RAW}
    event = Event("f1", "opened", Severity.HIGH, at=now, endpoint=PLACE, run=run, do=(RAW,), proof=RAW, **words)
    raise_alerts(store, [event], [], (), now)
    about: dict[str, Any] = {"on": (), "zone": None, "asset": None, "kind": None}
    silence_what(store, now, alert_id="a1", lasting="8h", reason=LINE, by=LINE, **about)
    boss = accounts.find_session(store, admin.client.cookies[COOKIE], now)
    assert boss is not None
    _, token = accounts.make_token(store, boss, LINE[:70], ["read"], None, now)
    code = accounts.invite(store, boss, Role.VIEWER, now)
    accounts.log_in(store, admin.name, "a long enough sentence", "", now, client="127.0.0.1", agent=LINE)
    upload = {"flows": (f"{LINE}.log", flows().encode())}
    answer = analyst.post("/detections", {"since": ""}, files=upload)
    assert answer.status_code == 303, answer.text
    return World(
        run=run,
        other=other,
        report=answer.headers["location"].rpartition("/")[2],
        token=token.id,
        session=next(each.id for each in accounts.list_sessions(store, boss, now) if not each.current),
        link=accounts.list_links(store, boss, now)[0].id,
        code=code,
        member=analyst.name,
    )


def make_run(store: Store, at: float) -> str:
    plan = Plan(AddressSet.of(ADDRESS), PortSet(tcp=((PORT, PORT),)), 7, 16)
    options = {"targets": [ADDRESS], "exclude": [], "shard": [0, 1], "dropped": []}
    run = create_run(
        store, plan=plan.to_json(), engine="connect", vantage=LINE[:60], grants=["g1"], level=3, now=at, options=options
    )
    pairs = plan.pairs(0)
    rows = np.zeros(len(pairs.port), OBSERVATION_FIELDS)
    rows["hi"], rows["lo"], rows["port"], rows["transport"] = pairs
    rows["state"], rows["reason"], rows["ttl"], rows["at"] = State.OPEN, Reason.SYN_ACK, 64, at + 1
    save_block(store, run.id, 0, rows)
    evidence = (
        Turn("pop3", b"", f"+OK {RAW}\r\n".encode()),
        Turn("pop3", b"CAPA\r\n", f"+OK\r\nUSER\r\n{RAW}\r\n.\r\n".encode()),
    )
    facts = {"greeting": RAW, "auth": "required"}
    kept = {"evidence": evidence, "rung": Rung.PROTOCOL, "facts": facts}
    service = Service(PLACE, "pop3", Confidence.CONFIRMED, at + 2, RAW, RAW, **kept)  # type: ignore[arg-type]
    finding = Finding(
        "pop3-cleartext-login", FINDING, PLACE, Severity.MEDIUM, Confidence.CONFIRMED, RAW, {"seen": RAW}, RAW, name=RAW
    )
    save_service(store, run.id, service, [finding])
    with store.together() as one:
        save_turns(one, replace(run, finished=at + 60), [], [], "not believed")
        finish_run(one, run.id, "complete", asdict(Summary("complete", 1, 1, 1, 0, 0, 0, 0, 0, 60.0)), at + 60)
    return run.id


def flows() -> str:
    """A flow log in which one of the lab talks home, again and again."""
    columns = "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes resp_bytes conn_state"
    kinds = "time string addr port addr port enum string interval count count string"
    head = ["#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tconn"]
    head += ["\t".join(("#fields", *columns.split())), "\t".join(("#types", *kinds.split()))]
    row = "{at}.0 C{n} 127.77.0.9 {port} 198.51.100.9 4444 tcp - 1 10 10 SF"
    rows = ["\t".join(row.format(at=1_700_000_000 + 60 * n, n=n, port=40_000 + n).split()) for n in range(60)]
    return "\n".join([*head, *rows, ""])


class Markup(HTMLParser):
    """Finds what must not be in a page: foreign tags, handlers, scripts and styles in the text, addresses that run code."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in {MARK, "style", "base", "object", "embed", "iframe"}:
            self.faults.append(tag)
        if tag == "script" and not (named.get("src") or "").startswith("/static/"):
            self.faults.append("script")
        for name, value in attrs:
            if name.startswith("on") or name == "style":
                self.faults.append(f"{tag} {name}")
            if name in {"href", "src", "action"} and (value or "").lower().lstrip().startswith(("javascript:", "data:", "//")):
                self.faults.append(f"{tag} {name}={value}")


def faults_of(text: str) -> list[str]:
    """What is wrong with a page."""
    seen = Markup()
    seen.feed(text)
    odd = {f"U+{ord(char):04X}" for char in text if (ord(char) < 32 and char not in "\n\t") or char in "\x7f\u202e\u2066\ufeff"}
    return seen.faults + sorted(odd)
