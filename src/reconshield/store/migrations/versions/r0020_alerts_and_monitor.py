"""Alerts with their outbox and silences; scheduled scans and the processes that run them."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Double, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("resolved_at", sa.Double),
        sa.Column("ending", sa.Text),
        sa.Column("acked_by", sa.Text),
        sa.Column("acked_at", sa.Double),
        sa.Column("escalated", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "number"),
    )
    stands = sa.text("resolved_at IS NULL")
    op.create_index(
        "alerts_standing", "alerts", ["workspace", "fingerprint"], unique=True, sqlite_where=stands, postgresql_where=stands
    )
    op.create_table(
        "deliveries",
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("due", sa.Double, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("leased_until", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("detail", sa.Text),
        sa.Column("notice", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "key"),
    )
    op.create_index("deliveries_due", "deliveries", ["workspace", "state", "due"])
    op.create_table(
        "silences",
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("said_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("fits", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "number"),
    )
    op.create_table(
        "occurrences",
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("schedule", sa.Text, nullable=False),
        sa.Column("slot", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("run", sa.Text),
        sa.Column("finished_at", sa.Double),
        sa.Column("note", sa.Text),
        sa.PrimaryKeyConstraint("workspace", "schedule", "slot"),
    )
    op.create_table(
        "executors",
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("seen", sa.Double, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("vantage", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "name"),
    )
