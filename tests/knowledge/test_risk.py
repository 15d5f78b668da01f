"""The risk model against its golden table, and the arithmetic of facts and context."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconshield.knowledge import risk
from reconshield.knowledge.catalog import load_catalog
from reconshield.knowledge.records import STEPS, EndpointEntry, ServiceEntry
from reconshield.model import Factor, Risk, rating_of

GOLDEN = [
    line.split("\t")
    for line in Path(__file__).with_name("golden_risk.tsv").read_text().splitlines()
    if not line.startswith("#")
]


def find(port: int, transport: str) -> tuple[ServiceEntry, EndpointEntry]:
    """The likeliest endpoint on a port: a service's own before its further ones."""
    found = [
        (entry.endpoint.index(row), entry, row)
        for entry, row in load_catalog().endpoints
        if (row.port, row.transport) == (port, transport)
    ]
    assert found, f"no entry for {port}/{transport}"
    return min(found, key=lambda item: item[0])[1:]


def test_golden_table_is_whole() -> None:
    assert len(GOLDEN) == 61
    ratings = [row[11] for row in GOLDEN]
    assert [ratings.count(name) for name in ("critical", "high", "medium", "low")] == [12, 31, 10, 8]


@pytest.mark.parametrize("row", GOLDEN, ids=[f"{row[0]}-{row[1]}" for row in GOLDEN])
def test_golden_rating(row: list[str]) -> None:
    """Every factor, the sum and the rating of the catalogue are those of the table."""
    base = risk.UNKNOWN if row[1] == "any" else risk.base_risk(find(int(row[0]), row[1])[1])
    points = {factor.name: factor.points for factor in base.factors}
    assert [points.get(name, 0) for name in STEPS] == [int(value) for value in row[3:10]]
    assert (base.score, base.rating) == (int(row[10]), row[11])


@pytest.mark.parametrize(
    ("score", "rating"),
    [(0, "low"), (29, "low"), (30, "medium"), (49, "medium"), (50, "high"), (74, "high"), (75, "critical"), (100, "critical")],
)
def test_thresholds(score: int, rating: str) -> None:
    assert rating_of(score) == rating


@pytest.mark.parametrize(
    ("score", "note"),
    [
        (24, None),
        (25, "medium"),
        (30, "medium"),
        (34, "medium"),
        (35, None),
        (45, "high"),
        (44, None),
        (54, "high"),
        (55, None),
        (70, "critical"),
        (79, "critical"),
        (80, None),
        (100, None),
    ],
)
def test_border_note(score: int, note: str | None) -> None:
    text = risk.border_note(score)
    assert (text is None) if note is None else (text is not None and f": {note} starts" in text)


def base(authentication: int = 8, transport: int = 12) -> Risk:
    """A rating of 24 plus what a case says."""
    fixed = {"impact": 14, "exploitation": 6, "intended": 4}
    return risk.rate(
        Factor(name, points, "because", "rfc1939")
        for name, points in {**fixed, "authentication": authentication, "transport": transport}.items()
    )


NEW = risk.context_point("newly-opened", closed="09:16", opened="09:46")
LISTED = risk.context_point("listed-networks", networks="10.8.0.0/24")
KEV = risk.context_point("kev", product="Example", cve="CVE-2019-0708")
FACTS = [
    # what, base, facts, context, score, factors that are added
    ("nothing known", base(), {}, [], 44, []),
    ("newly opened", base(), {}, [NEW], 54, ["newly-opened"]),
    ("login refused before TLS", base(), {"login_clear": "refused"}, [], 29, ["tls-observed"]),
    ("STARTTLS required", base(), {"starttls": "required"}, [], 29, ["tls-observed"]),
    ("STARTTLS only offered", base(), {"starttls": "offered"}, [], 44, []),
    ("nothing to gain from TLS", base(transport=0), {"login_clear": "refused"}, [], 32, []),
    ("proven open", base(20, 5), {"auth": "none"}, [], 64, ["proven-open"]),
    ("anonymous", base(), {"anonymous": True}, [], 59, ["proven-open"]),
    ("anonymous, and nothing to be read", base(), {"anonymous": True, "anonymous_read": False}, [], 44, []),
    ("anonymous refused", base(), {"anonymous": False}, [], 44, []),
    ("open, and anonymous: once", base(20, 5), {"auth": "none", "anonymous": True}, [], 64, ["proven-open"]),
    ("a login where none is usual", base(20, 5), {"auth": "required"}, [], 37, []),
    ("a login where one is usual", base(), {"auth": "required"}, [], 44, []),
    (
        "given by the caller and by facts: once",
        base(),
        {"login_clear": "refused"},
        [risk.context_point("tls-observed")],
        29,
        ["tls-observed"],
    ),
    ("cut at 100", base(20, 12), {"auth": "none"}, [NEW, NEW, NEW, NEW], 100, ["proven-open", *["newly-opened"] * 4]),
    ("cut at 0", base(0, 0), {}, [LISTED, LISTED], 0, ["listed-networks"] * 2),
    ("known to be exploited: never below high", base(), {}, [KEV, LISTED], 50, ["kev", "listed-networks", "kev-floor"]),
    ("known to be exploited and high anyway", base(), {}, [KEV], 59, ["kev"]),
]


@pytest.mark.parametrize(
    ("start", "facts", "context", "score", "added"), [row[1:] for row in FACTS], ids=[row[0] for row in FACTS]
)
def test_endpoint_risk(start: Risk, facts: dict[str, object], context: list[Factor], score: int, added: list[str]) -> None:
    result = risk.endpoint_risk(start, facts, context)
    assert (result.score, result.rating) == (score, rating_of(score))
    assert [factor.name for factor in result.factors[len(start.factors) :]] == added
    assert risk.clamp(sum(factor.points for factor in result.factors)) == result.score


def test_a_required_login_is_listed_as_the_reason() -> None:
    changed = risk.endpoint_risk(base(20), {"auth": "required"})
    assert [(factor.points, factor.because) for factor in changed.factors if factor.name == "authentication"] == [
        (8, "a login is required here, seen by a probe")
    ]


LOWER = [
    (
        110,
        "tcp",
        [
            (28, "low", "the base rating of 995"),
            (29, "low", "44 - 15"),
            (24, "low", "44 - 20"),
            (34, "medium", "44 - 10"),
            (29, "low", "44 - 15"),
        ],
    ),
    (25, "tcp", [(15, "low", "30 - 15")]),  # public by design, and senders do not log in
    (3389, "tcp", [(58, "high", "78 - 20"), (68, "high", "78 - 10")]),
]


@pytest.mark.parametrize(("port", "transport", "ways"), LOWER)
def test_would_lower(port: int, transport: str, ways: list[tuple[int, str, str]]) -> None:
    found = [way for way in risk.would_lower(*find(port, transport)) if way.arithmetic != "the base rating of 3389"]
    assert [(way.score, way.rating, way.arithmetic) for way in found] == ways


def test_every_way_lowers() -> None:
    for entry, endpoint in load_catalog().endpoints:
        score = risk.base_risk(endpoint).score
        assert all(0 <= way.score < score and way.rating == rating_of(way.score) for way in risk.would_lower(entry, endpoint))


def test_arithmetic_says_when_it_is_cut() -> None:
    assert risk.arithmetic(base()) == "14 + 6 + 4 + 8 + 12 = 44"
    assert risk.arithmetic(risk.endpoint_risk(base(20), {}, [LISTED])) == "14 + 6 + 4 + 20 + 12 - 20 = 36"
    assert risk.arithmetic(risk.endpoint_risk(base(20), {"auth": "none"}, [NEW] * 4)).endswith("= 111, cut at 100")


def test_every_context_sentence_can_be_filled() -> None:
    names = (
        "networks",
        "purpose",
        "owner",
        "expires",
        "product",
        "version",
        "cve",
        "score",
        "proof",
        "closed",
        "opened",
        "zone",
    )
    values = {name: name.upper() for name in names}
    for name in risk.CONTEXT:
        point = risk.context_point(name, **values)
        assert point.points == risk.CONTEXT[name].points
        assert "{" not in point.because
