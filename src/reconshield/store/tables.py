"""The tables as they are after the newest migration. SQLAlchemy Core: functions write the queries, no object maps to a row.

Every table begins with `workspace`, the tenant. Times are Unix seconds UTC. A test compares this file with what the
migrations make, on both engines.
"""

from __future__ import annotations

from sqlalchemy import Column, Double, Integer, MetaData, PrimaryKeyConstraint, SmallInteger, Table, Text

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
