"""The policy file: what it may say, what is wrong with it and on which line, and how it is written."""

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconshield.addresses import AddressSet, text_of
from reconshield.addresses.sets import V4_FIRST
from reconshield.errors import UserError
from reconshield.jobs.policy import known_names
from reconshield.policy import Policy, Problem, json_schema, read_policy, refuse_errors, review_policy
from reconshield.policy.formatting import format_policy
from reconshield.policy.writing import policy_text
from reconshield.policy.zones import find_overlaps, map_zones

EXAMPLE = Path(__file__).parents[2] / "docs" / "example-policy.toml"
NOW = 1_764_547_200.0  # 2025-12-01

HEAD = """\
version = 1

[[zone]]
name = "mail-dmz"
targets = ["192.0.2.0/26"]

[[asset]]
name = "mx1"
addresses = ["192.0.2.5"]
"""


def read(text: str) -> Policy:
    policy, problems = read_policy(text, "reconshield.toml", known_names())
    assert problems == []
    assert policy is not None
    return policy


def entry(table: str, **changed: str) -> str:
    """A table with what it needs; `changed` keys are TOML values, and "" leaves one out."""
    needed = {
        "zone": {"name": '"office"', "targets": '["198.51.100.0/24"]'},
        "asset": {"name": '"ns1"', "addresses": '["192.0.2.6"]'},
        "expect": {"on": '"mx1"', "service": '"smtp"', "reason": '"MX"', "owner": '"Ada"', "expires": "2027-06-30"},
        "closed": {"on": '"mail-dmz"', "ports": '"110"'},
        "accept": {"finding": '"tls-expired"', "reason": '"old"', "owner": '"Ada"', "expires": "2027-06-30"},
        "traffic": {"zone": '"mail-dmz"', "direction": '"in"'},
        "schedule": {"name": '"nightly"', "targets": '"mail-dmz"', "every": '"24h"'},
        "blackout": {"name": '"xmas"', "begins": "2026-12-24", "ends": "2026-12-26"},
        "channel": {"name": '"soc"', "kind": '"webhook"', "url": '"https://soc.example/hook"'},
        "route": {"to": '"soc"'},
    }[table] | {key.replace("seen_from", "from"): value for key, value in changed.items()}
    return f"\n[[{table}]]\n" + "".join(f"{key} = {value}\n" for key, value in needed.items() if value)


FAULTS = [
    # table, line, where, what is wrong, what to do
    (entry("expect", on='["mail-dmx"]'), 12, "expect[1].on", "no zone or asset is called mail-dmx", "did you mean mail-dmz?"),
    (entry("expect", on='["mx2"]'), 12, "expect[1].on", "no zone or asset is called mx2", "did you mean mx1?"),
    (entry("expect", service='"smpt"'), 13, "expect[1].service", "unknown service smpt", "or smtp?"),
    (entry("expect", service="", ports='"70000"'), 16, "expect[1].ports", "port 70000 is out of range", 'ports = "7000"'),
    (entry("expect", service="", ports='"@maill"'), 16, "expect[1].ports", "unknown cluster @maill", "@mail"),
    (entry("expect", service=""), 11, "expect[1]", "needs service or ports", "ports ="),
    (entry("expect", expires=""), 11, "expect[1]", "the key expires is missing", "a date"),
    (entry("expect", expires='"soon"'), 16, "expect[1].expires", "wrong type", "a date such as 2026-02-13"),
    (entry("expect", reason='""'), 14, "expect[1].reason", "reason is empty", "say why"),
    (entry("expect", owner='" "'), 15, "expect[1].owner", "owner is empty", "who answers for it"),
    (entry("expect", expire="2027-01-01"), 17, "expect[1].expire", "unknown key expire", "did you mean expires"),
    (entry("closed", on="", ports=""), 11, "closed[1]", "would forbid everything", "ports"),
    (entry("closed", severity='"worst"'), 14, "closed[1].severity", "'worst' is not allowed", "critical"),
    (
        entry("accept", finding='"tls-expird"'),
        12,
        "accept[1].finding",
        "no check is called tls-expird",
        "did you mean tls-expired",
    ),
    (entry("traffic", zone='"mail"'), 12, "traffic[1].zone", "no zone is called mail", "mail-dmz"),
    (entry("zone", targets='["192.0.2.32/26"]'), 13, "zone[2].targets", "zones mail-dmz (line 3) and office overlap", "narrow"),
    (entry("zone", targets='["192.0.2.32-192.0.2.99"]'), 13, "zone[2].targets", "overlap at 192.0.2.32/27", "narrow"),
    (entry("zone", targets='["mail.example.org"]'), 13, "zone[2].targets", "no address or network", "192.0.2.0/24"),
    (entry("zone", targets='["0.0.0.0/0"]'), 13, "zone[2].targets", "the whole Internet", "networks"),
    (entry("zone", targets="[]"), 13, "zone[2].targets", "at least one target", "targets"),
    (entry("zone", name='"mx1"'), 8, "asset[1].name", "the name mx1 stands twice", "another name"),
    (entry("zone", name='"wan"'), 12, "zone[2].name", "the name wan stands twice", "another name"),
    (entry("zone", name='"Mail DMZ"'), 12, "zone[2].name", "has the wrong form", ""),
    (
        entry("schedule", every="", cron='"0 25 * * *"'),
        14,
        "schedule[1].cron",
        "the hour cannot be '25' (0 to 23): 0 25",
        "minute hour",
    ),
    (entry("schedule", every="", cron='"0 2 * *"'), 14, "schedule[1].cron", "five fields, this has 4", "minute hour"),
    (entry("schedule", every="", cron='"0 2 31 2 *"'), 14, "schedule[1].cron", "never comes", "minute hour"),
    (entry("schedule", cron='"0 2 * * *"'), 11, "schedule[1]", "either every or cron", "every"),
    (entry("schedule", every='"daily"'), 14, "schedule[1].every", "no length of time: daily", "24h"),
    (entry("schedule", window='"25:00-26:00"'), 15, "schedule[1].window", "no window of the day: 25:00-26:00", "22:00-05:00"),
    (entry("schedule", window='"22:00-05:00 Mars/Olympus"'), 15, "schedule[1].window", "this time zone is not known", "UTC"),
    (entry("schedule") * 2, 17, "schedule[2].name", "stands twice (on line 11)", "another name"),
    (entry("blackout", ends="2026-12-20"), 14, "blackout[1].ends", "ends before it begins", "the last day"),
    (entry("blackout", ends=""), 11, "blackout[1]", "needs begins and ends, or a window", "sat,sun"),
    (entry("blackout", window='"sat 00:00-24:00"'), 11, "blackout[1]", "needs begins and ends, or a window", "sat,sun"),
    (entry("channel", secret='"hunter2"'), 15, "channel[1].secret", "secret is a secret", 'secret = "env:NAME"'),
    (entry("channel", url='"https://me:pw@soc.example"'), 14, "channel[1].url", "is a secret", "env:"),
    (entry("route", to='"sock"') + entry("channel"), 12, "route[1].to", "no channel is called sock", "did you mean soc?"),
    (entry("route", when='{ change = ["opend"] }'), 13, "route[1].when.change", "'opend' is not allowed", "opened"),
    (entry("route", quiet='"22-6"') + entry("channel"), 13, "route[1].quiet", "no window of the day", "22:00"),
    ("[[zones]]\n", 10, "zones", "unknown key zones", "did you mean zone"),
]


@pytest.mark.parametrize(("text", "line", "where", "message", "hint"), FAULTS)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, where: str, message: str, hint: str) -> None:
    policy, problems = read_policy(HEAD + text, "reconshield.toml", known_names())
    told = next(problem for problem in problems if message in problem.message)
    assert policy is None
    assert told.where == f"reconshield.toml:{line} {where}"
    assert hint in told.hint


def test_a_secret_is_not_quoted_in_the_error() -> None:
    (problem,) = read_policy(HEAD + entry("channel", secret='"hunter2"'), "reconshield.toml")[1]
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("text", "where"), [("version = 1\n[[zone]\n", "p.toml:2"), ("version = 1\na = \n", "p.toml:2"), ("a" * 3, "p.toml")]
)
def test_what_is_no_toml_is_one_error_with_its_line(text: str, where: str) -> None:
    with pytest.raises(UserError, match="not valid TOML") as told:
        read_policy(text, "p.toml")
    assert (told.value.where or "").startswith(where)


def test_other_verbs_refuse_a_file_with_errors_by_its_first_one() -> None:
    _, problems = read_policy(HEAD + entry("expect", on='"mx9"') + entry("closed", on='"dmz"'), "reconshield.toml")
    with pytest.raises(UserError, match=r"mx9 \(and 1 more: reconshield policy check\)") as told:
        refuse_errors(problems)
    assert told.value.where == "reconshield.toml:12 expect[1].on"


REVIEWS = [
    (entry("expect", expires="2025-11-09"), "warning", 11, "expect[1].expires", "expired on 2025-11-09, 21 days ago"),
    (entry("accept", expires="2025-11-30"), "warning", 11, "accept[1].expires", "expired on 2025-11-30, today"),
    (entry("accept", expires="2025-12-20"), "note", 11, "accept[1].expires", "expires on 2025-12-20, in 20 days"),
    (
        entry("closed", ports='"25"', service='"smtp"') + entry("expect", ports='"25"'),
        "warning",
        16,
        "expect[1]",
        "line 11 forbids all of it",
    ),
    (entry("schedule", fresh='"12h"'), "warning", 11, "schedule[1].fresh", "shorter than the time between two scans"),
    (entry("schedule", every="", cron='"0 2 * * 1"', fresh='"36h"'), "warning", 11, "schedule[1].fresh", "shorter"),
    (entry("channel"), "note", 11, "channel[1]", "no route leads to the channel soc"),
    (entry("blackout", begins="2024-12-24", ends="2024-12-26"), "note", 11, "blackout[1]", "is over"),
    (entry("closed", seen_from='["ci1"]'), "note", 11, "closed[1].from", "no zone is called ci1"),
]


@pytest.mark.parametrize(("text", "level", "line", "what", "message"), REVIEWS)
def test_what_a_reviewer_should_look_at(text: str, level: str, line: int, what: str, message: str) -> None:
    (problem,) = review_policy(read(HEAD + text), known_names({"local", "ci-1"}), NOW)
    assert (problem.level, problem.line, problem.what) == (level, line, what)
    assert message in problem.message
    assert problem.hint


@pytest.mark.parametrize(
    "text",
    [
        entry("expect", on='["mail-dmz", "192.0.2.9", "wan"]', ports='"25,U:@common-udp,imap"', seen_from='"ci-1"'),
        entry("closed", on="", service='["telnet"]'),
        entry("accept", finding='["tls-expired", "smtp-unexpected-port"]'),
        entry(
            "schedule",
            targets='["localhost", "mail.example.org"]',
            window='["22:00-05:00", "sat,sun 00:00-24:00 Europe/Berlin"]',
        ),
        entry("blackout", begins="2026-12-24T12:00:00Z", ends="2026-12-24T14:00:00+01:00"),
        entry("blackout", begins="", ends="", window='"sat,sun 00:00-24:00"'),
        entry("channel", token='"env:TOKEN"', headers='{ "X-Team" = "soc", "a b" = "c" }')
        + entry("route", escalate='{ after = "1h", to = "soc" }'),
        entry("zone", targets='["192.0.2.16/28", "2001:db8::/32"]', vantages='["probe"]'),
    ],
)
def test_what_is_allowed_reads_and_shows_as_the_same(text: str) -> None:
    policy = read(HEAD + text)
    again = read(policy_text(policy))
    for name in ("zones", "assets", "expects", "closed", "accepts", "schedules", "blackouts", "channels", "routes"):
        for before, after in zip(getattr(policy, name), getattr(again, name), strict=True):
            lost = {key for key in type(before).__slots__ if getattr(before, key) != getattr(after, key)}
            assert lost <= {"line", "fresh"}  # `show` says the default that was meant


def test_the_example_is_right_and_laid_out_and_obeys_the_published_schema() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    policy = read(text)
    assert [problem for problem in review_policy(policy, known_names(), NOW) if problem.level != "note"] == []
    assert format_policy(text, "example") == text
    written = set(tomllib.loads(text))
    assert written == set(json_schema()["properties"]), "the example shows every table"
    jsonschema.validate(json.loads(json.dumps(tomllib.loads(text), default=str)), json_schema())


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    for text in (entry("expect", owner=""), entry("closed", severity='"worst"'), entry("zone", colour='"red"')):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(json.loads(json.dumps(tomllib.loads(HEAD + text), default=str)), json_schema())


# ---- zones


def test_an_address_belongs_to_the_most_specific_zone() -> None:
    policy = read(HEAD + entry("zone", name='"cell"', targets='["192.0.2.16/28"]', owner='"plant"', vantages='["probe"]'))
    rows = [(ip, policy.zone_name(ip)) for ip in ("192.0.2.15", "192.0.2.16", "192.0.2.31", "192.0.2.32", "192.0.2.64", "::1")]
    assert rows == [
        ("192.0.2.15", "mail-dmz"),
        ("192.0.2.16", "cell"),
        ("192.0.2.31", "cell"),
        ("192.0.2.32", "mail-dmz"),
        ("192.0.2.64", "wan"),
        ("::1", "wan"),
    ]
    assert [zone.area.text() for zone in policy.zones] == ["192.0.2.0/28, 192.0.2.32/27", "192.0.2.16/28"]
    assert policy.owner_of("192.0.2.20") == "plant"
    assert [asset.name for asset in policy.assets_of("::ffff:192.0.2.5")] == ["mx1"]
    assert (policy.origins_of("probe"), policy.origins_of("local")) == (
        frozenset({"probe", "cell"}),
        frozenset({"local", "wan"}),
    )


SPANS = st.tuples(st.integers(0, 63), st.integers(0, 63)).map(lambda pair: (min(pair), max(pair)))
AREAS = st.lists(st.lists(SPANS, min_size=1, max_size=3).map(lambda spans: AddressSet(tuple(spans))), max_size=6)


@given(AREAS)
def test_zones_by_brute_force(areas: list[AddressSet]) -> None:
    """Either two zones overlap in part or are equal somewhere, and that is told, or each address has one narrowest range."""
    ranges = [(first, last, number) for number, area in enumerate(areas) for first, last in area.ranges]
    crossing = {
        (min(i, j), max(i, j))
        for first, last, i in ranges
        for other_first, other_last, j in ranges
        if i != j
        and first <= other_last
        and other_first <= last
        and not ((first < other_first or last > other_last) and first <= other_first and last >= other_last)
        and not ((other_first < first or other_last > last) and other_first <= first and other_last >= last)
    }
    told = {(i, j) for i, j, _ in find_overlaps(areas)}
    assert bool(told) == bool(crossing)
    assert told <= crossing
    if crossing:
        return
    painted = map_zones(areas)
    for address in range(64):
        around = [(last - first, number) for first, last, number in ranges if first <= address <= last]
        assert painted.find(address) == (min(around)[1] if around else -1)
    for number in range(len(areas)):
        assert painted.area_of(number) == AddressSet(tuple((a, a) for a in range(64) if painted.find(a) == number))


def test_ten_thousand_zones_are_placed_at_once() -> None:
    areas = [AddressSet(((V4_FIRST + (n << 8), V4_FIRST + (n << 8) + 255),)) for n in range(10_000)]
    painted = map_zones([AddressSet(((V4_FIRST, V4_FIRST + (1 << 24) - 1),)), *areas])
    assert text_of(V4_FIRST + (9_999 << 8)) == "0.39.15.0"
    assert painted.find(V4_FIRST + (9_999 << 8) + 7) == 10_000
    assert painted.find(V4_FIRST + (10_000 << 8)) == 0


# ---- layout

MESSY = """\
# the policy


version=1
[[zone]]   # the mail servers
  name   =  "mail-dmz"#who

  targets=[ "192.0.2.0/26" ,
"192.0.2.128/26"   # the second one
  ]
# a remark
owner = "a # b"


# about mx1
# and more
[[ asset ]]
name='mx1'
addresses = ["192.0.2.5"]
"""
NEAT = """\
# the policy

version = 1

[[zone]]  # the mail servers
name = "mail-dmz"  #who
targets = [ "192.0.2.0/26" ,
    "192.0.2.128/26"  # the second one
]
# a remark
owner = "a # b"

# about mx1
# and more
[[asset]]
name = 'mx1'
addresses = ["192.0.2.5"]
"""


def test_layout_keeps_comments_order_and_values() -> None:
    assert format_policy(MESSY, "p.toml") == NEAT
    assert format_policy(NEAT, "p.toml") == NEAT


LINES = [
    "",
    "# note",
    "  # far",
    "version=1 # x",
    "[[zone]]",
    '  name="a"',
    'targets = [\n"192.0.2.1",\n  # in\n]',
    'a."b c" = """\n x = 1\n"""',
    "[ closed ]",
    "t = {a=1}",
    "s='#'",
    "[[zone.x]] # y",
    "d=2026-01-01",
]


@given(st.lists(st.sampled_from(LINES), max_size=12))
def test_layout_is_reached_in_one_step_and_changes_no_meaning(lines: list[str]) -> None:
    text = "\n".join(lines)
    try:
        before: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    once = format_policy(text, "p.toml")
    assert tomllib.loads(once) == before
    assert format_policy(once, "p.toml") == once
    assert once.count("#") == text.count("#")


def test_problems_name_their_place() -> None:
    assert Problem("error", "p.toml", 3, "zone[1]", "wrong").where == "p.toml:3 zone[1]"
