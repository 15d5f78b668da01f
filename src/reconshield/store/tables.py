"""The tables as they are after the newest migration. SQLAlchemy Core: functions write the queries, no object maps to a row.

Every table begins with `workspace`, the tenant. Times are Unix seconds UTC. A test compares this file with what the
migrations make, on both engines.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)

from reconshield.store.columns import JsonText, SafeText

METADATA = MetaData()

GRANTS = Table(
    "grants",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("number", Integer, nullable=False, autoincrement=False),
    Column("granted_by", SafeText, nullable=False),
    Column("targets", JsonText, nullable=False),
    Column("exclusions", JsonText, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("valid_from", Double),
    Column("until", Double),
    Column("reason", SafeText),
    Column("contact", SafeText),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double),
    PrimaryKeyConstraint("workspace", "number"),
)
"""Who allowed which targets to be measured. `targets` and `exclusions`: `[{"text": …, "ranges": [["lo", "hi"], …]}]` with
decimal numbers as text, because IPv6 does not fit a JSON number."""

AUDIT = Table(
    "audit",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("number", Integer, nullable=False, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("actor", SafeText, nullable=False),
    Column("event", SafeText, nullable=False),
    Column("detail", JsonText, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
    PrimaryKeyConstraint("workspace", "number"),
)
"""What was granted, used and refused. Triggers abort every UPDATE and DELETE; each row carries the hash of the one before."""

RUNS = Table(
    "runs",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("engine", Text, nullable=False),
    Column("vantage", SafeText, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("started", Double, nullable=False),
    Column("finished", Double),
    Column("plan", JsonText, nullable=False),
    Column("grants", JsonText, nullable=False),
    Column("options", JsonText, nullable=False),
    Column("summary", JsonText),
    PrimaryKeyConstraint("workspace", "id"),
)
"""One execution of a plan. `plan` is all that is needed to make the same permutation again: target ranges, port ranges, seed,
block size."""

BLOCKS = Table(
    "blocks",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("number", BigInteger, nullable=False, autoincrement=False),
    Column("answered", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("workspace", "run", "number"),
    ForeignKeyConstraint(["workspace", "run"], ["runs.workspace", "runs.id"]),
)
"""Blocks of the plan that were finished. `data`: every answer in the block, open ones too, as one compressed array; silence is
what the plan covers and no block has."""

OBSERVATIONS = Table(
    "observations",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("transport", SmallInteger, nullable=False),
    Column("ip", LargeBinary, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("reason", SmallInteger, nullable=False),
    Column("ttl", SmallInteger, nullable=False),
    Column("rtt_us", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    PrimaryKeyConstraint("workspace", "run", "port", "transport", "ip"),
    sqlite_with_rowid=False,
)
"""Open endpoints only. The port comes before the address in the key: who asks for an address looks into the blocks, which know
the closed answers too, and so this table needs no second index. Written only together with its block, hence no foreign key."""

ENDPOINT = ("workspace", "run", "ip", "port", "transport")

SERVICES = Table(
    "services",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("ip", LargeBinary, nullable=False),
    Column("port", Integer, nullable=False),
    Column("transport", SmallInteger, nullable=False),
    Column("service", SafeText, nullable=False),
    Column("confidence", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("product", SafeText),
    Column("version", SafeText),
    Column("cpe", JsonText, nullable=False),
    Column("tls", Text, nullable=False),
    Column("rung", Text, nullable=False),
    Column("probe", SafeText),
    Column("facts", JsonText, nullable=False),
    Column("evidence", JsonText, nullable=False),
    Column("others", JsonText, nullable=False),
    Column("note", SafeText),
    Column("name", SafeText),
    PrimaryKeyConstraint(*ENDPOINT),
    ForeignKeyConstraint(["workspace", "run"], ["runs.workspace", "runs.id"]),
)
"""What speaks on an endpoint. `evidence` keeps the bytes exactly (base64), so that they can be judged again later."""

FINDINGS = Table(
    "findings",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("ip", LargeBinary, nullable=False),
    Column("port", Integer, nullable=False),
    Column("transport", SmallInteger, nullable=False),
    Column("check_name", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("confidence", Text, nullable=False),
    Column("title", SafeText, nullable=False),
    Column("evidence", JsonText, nullable=False),
    Column("remedy", SafeText, nullable=False),
    Column("attack", JsonText, nullable=False),
    Column("sources", JsonText, nullable=False),
    Column("risk", JsonText),
    Column("name", SafeText),
    PrimaryKeyConstraint(*ENDPOINT, "check_name"),
    ForeignKeyConstraint([*ENDPOINT], [f"services.{name}" for name in ENDPOINT], ondelete="CASCADE"),
)
"""Judgements on the facts of a service; replaced with it. `sources` are the references."""
