"""The tables as they are after the newest migration. SQLAlchemy Core: functions write the queries, no object maps to a row.

Every table begins with `workspace`, the tenant; `observations` has a number that implies it, `accounts` and `login_failures`
are of the whole database (docs/why.md). Times are Unix seconds UTC. A new database is made from this file (`create_tables`), an
older one by the migrations; a test compares what comes out of the two, on both engines.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from reconshield.store.columns import JsonText, RiskText, SafeText

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
    Column("key", Integer, nullable=False, autoincrement=False),
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
    UniqueConstraint("key", name="runs_key"),
)
"""One execution of a plan. `plan` is all that is needed to make the same permutation again: target ranges, port ranges, seed,
block size. `key` is the run's number in the whole database: it stands for workspace and id where there are millions of rows."""

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
"""Blocks of the plan that were finished. `data`: every answer in the block, open ones too, as one compressed array
(`observations.pack_block`); silence is what the plan covers and no block has."""

OBSERVATIONS = Table(
    "observations",
    METADATA,
    Column("run_key", Integer, nullable=False),
    Column("port", Integer, nullable=False),
    Column("transport", SmallInteger, nullable=False),
    Column("ip", LargeBinary, nullable=False),
    Column("reason", SmallInteger, nullable=False),
    Column("ttl", SmallInteger, nullable=False),
    Column("rtt_us", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    PrimaryKeyConstraint("run_key", "port", "transport", "ip"),
    sqlite_with_rowid=False,
)
"""Open endpoints only. The port comes before the address in the key: who asks for an address looks into the blocks, which know
the closed answers too, and so this table needs no second index. Written only together with its block, hence no foreign key.
A million rows can be here: what each row costs decides how fast a scan is stored."""

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
    Column("risk", RiskText),
    Column("name", SafeText),
    PrimaryKeyConstraint(*ENDPOINT, "check_name"),
    ForeignKeyConstraint([*ENDPOINT], [f"services.{name}" for name in ENDPOINT], ondelete="CASCADE"),
)
"""Judgements on the facts of a service; replaced with it. `sources` are the references."""

ALERTS = Table(
    "alerts",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("number", Integer, nullable=False, autoincrement=False),
    Column("fingerprint", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("event", JsonText, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("resolved_at", Double),
    Column("ending", SafeText),
    Column("acked_by", SafeText),
    Column("acked_at", Double),
    Column("escalated", JsonText, nullable=False),
    PrimaryKeyConstraint("workspace", "number"),
)
"""Trouble that stands or stood, one row an episode. Of one fingerprint only one can stand, whoever writes at the same time."""

STANDING = "CREATE UNIQUE INDEX alerts_standing ON alerts (workspace, fingerprint) WHERE resolved_at IS NULL"
"""As text, because an `Index` with PostgreSQL's condition would load its dialect into every command."""

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("due", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("leased_until", Double),
    Column("ended_at", Double),
    Column("detail", SafeText),
    Column("notice", JsonText, nullable=False),
    PrimaryKeyConstraint("workspace", "key"),
    Index("deliveries_due", "workspace", "state", "due"),
)
"""The outbox: notices that wait to be sent, and what became of them. Written with the alerts, in one transaction."""

SILENCES = Table(
    "silences",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("number", Integer, nullable=False, autoincrement=False),
    Column("until", Double, nullable=False),
    Column("said_by", SafeText, nullable=False),
    Column("reason", SafeText, nullable=False),
    Column("fits", JsonText, nullable=False),
    Column("created_at", Double, nullable=False),
    PrimaryKeyConstraint("workspace", "number"),
)
"""What is recorded but not told for a while, by whose word."""

OCCURRENCES = Table(
    "occurrences",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("schedule", Text, nullable=False),
    Column("slot", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("request", JsonText, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("run", Text),
    Column("finished_at", Double),
    Column("note", SafeText),
    PrimaryKeyConstraint("workspace", "schedule", "slot"),
)
"""Scans that a schedule called for, one a slot. `request` is all that a worker needs to measure it."""

EXECUTORS = Table(
    "executors",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", Double, nullable=False),
    Column("seen", Double, nullable=False),
    Column("role", Text, nullable=False),
    Column("vantage", SafeText, nullable=False),
    PrimaryKeyConstraint("workspace", "name"),
)
"""Monitors and workers, and when each last said that it is there."""

EXPOSURES = Table(
    "exposures",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("vantage", Text, nullable=False),
    Column("ip", LargeBinary, nullable=False),
    Column("port", Integer, nullable=False),
    Column("transport", SmallInteger, nullable=False),
    Column("opened", Double, nullable=False),
    Column("opened_run", Text, nullable=False),
    Column("shut_before", Double),
    Column("open_until", Double),
    Column("closed", Double),
    Column("closed_run", Text),
    PrimaryKeyConstraint("workspace", "vantage", "ip", "port", "transport", "opened"),
    Index("exposures_port", "workspace", "port", "transport"),
)
"""From when to when an endpoint was open, as seen from a vantage: last seen not open (`shut_before`, null for never measured),
first seen open (`opened`), last seen open (`open_until`), first seen not open (`closed`, null while it is open). A run in which
nothing opens and nothing closes writes nothing here. `opened_run` and `closed_run` may be pruned; the times stay."""

CHANGES = Table(
    "changes",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("number", Integer, nullable=False, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("ip", LargeBinary, nullable=False),
    Column("port", Integer, nullable=False),
    Column("transport", SmallInteger, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("last_seen", Double),
    Column("first_seen", Double),
    Column("fields", JsonText, nullable=False),
    Column("service_before", JsonText),
    Column("service_after", JsonText),
    Column("risk", RiskText),
    Column("flapping", Boolean, nullable=False),
    PrimaryKeyConstraint("workspace", "run", "number"),
    ForeignKeyConstraint(["workspace", "run"], ["runs.workspace", "runs.id"]),
)
"""What a run found to be other than it was known to be from its vantage; written in the transaction that ends the run."""

ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("name_key", SafeText, nullable=False),
    Column("password", Text),
    Column("totp_secret", Text),
    Column("totp_step", BigInteger),
    Column("created_at", Double, nullable=False),
    Column("disabled_at", Double),
    Column("password_changed_at", Double),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("name_key", name="accounts_name"),
)
"""People, of the whole database (docs/why.md); `members` says where they may do what. `password` is an Argon2id text, null
until they chose one. `totp_step` is the newest step of the second factor that was used: none is taken twice."""

MEMBERS = Table(
    "members",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("added_at", Double, nullable=False),
    Column("used_at", Double),
    PrimaryKeyConstraint("workspace", "account"),
    ForeignKeyConstraint(["account"], ["accounts.id"]),
    Index("members_account", "account"),
)
"""Who belongs to a workspace, in which role, and when they last signed in to it."""

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("csrf", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("client", SafeText, nullable=False),
    Column("agent", SafeText, nullable=False),
    PrimaryKeyConstraint("hash"),
    ForeignKeyConstraint(["account"], ["accounts.id"]),
    Index("sessions_account", "account"),
)
"""Signed-in browsers. `hash` is the SHA-256 of the token, which only the browser has; a session that ended has no row."""

LINKS = Table(
    "links",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("role", Text),
    Column("account", Text),
    Column("made_by", Text),
    Column("ends_totp", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("used_at", Double),
    PrimaryKeyConstraint("hash"),
    ForeignKeyConstraint(["account"], ["accounts.id"]),
)
"""One-time codes (setup, invite, signin) by their SHA-256. `made_by`: the account that invites."""

TOKENS = Table(
    "tokens",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("name", SafeText, nullable=False),
    Column("scopes", JsonText, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("until", Double, nullable=False),
    Column("used_at", Double),
    Column("revoked_at", Double),
    PrimaryKeyConstraint("workspace", "id"),
    UniqueConstraint("hash", name="tokens_hash"),
    ForeignKeyConstraint(["account"], ["accounts.id"]),
)
"""Keys for programs, by the SHA-256 of their text. They are kept when they ended, so that the audit log can be read."""

LOGIN_FAILURES = Table(
    "login_failures",
    METADATA,
    Column("subject", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("last_at", Double, nullable=False),
    Column("forget_at", Double, nullable=False),
    PrimaryKeyConstraint("subject"),
    Index("login_failures_forget", "forget_at"),
)
"""How often signing in failed for a name or from a client, of the whole database: who has no session yet has no workspace. A
name is kept as its hash only, for people type passwords into the wrong field. `known:…` rows are clients that signed in."""

IDEMPOTENCY = Table(
    "idempotency",
    METADATA,
    Column("workspace", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("status", Integer),
    Column("location", Text),
    Column("body", Text),
    PrimaryKeyConstraint("workspace", "account", "key"),
)
"""Requests of the API that must be done once. `key` and `request` are hashes, `status` is null while one is worked on."""

AUDIT_GUARDS: dict[str, list[str]] = {
    "sqlite": [
        f"CREATE TRIGGER audit_no_{verb} BEFORE {verb} ON audit\nBEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        for verb in ("update", "delete")
    ],
    "postgresql": [
        """CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$""",
        *(
            f"CREATE TRIGGER audit_no_{verb} BEFORE {verb} ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
            for verb in ("update", "delete", "truncate")
        ),
    ],
}
"""Nobody edits or deletes an entry, not even the owner of the file by accident."""


def create_tables(connection: Connection) -> None:
    """Make everything in an empty database, inside the caller's transaction."""
    METADATA.create_all(connection, checkfirst=False)
    for statement in (STANDING, *AUDIT_GUARDS[connection.dialect.name]):
        connection.exec_driver_sql(statement)
