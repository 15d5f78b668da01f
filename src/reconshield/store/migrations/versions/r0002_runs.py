"""Runs with their blocks, open endpoints, services and findings."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ENDPOINT = ("workspace", "run", "ip", "port", "transport")


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("key", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("vantage", sa.Text, nullable=False),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("finished", sa.Double),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("grants", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("summary", sa.Text),
        sa.PrimaryKeyConstraint("workspace", "id"),
        sa.UniqueConstraint("key", name="runs_key"),
    )
    op.create_table(
        "blocks",
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("answered", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "run", "number"),
        sa.ForeignKeyConstraint(["workspace", "run"], ["runs.workspace", "runs.id"]),
    )
    op.create_table(
        "observations",
        sa.Column("run_key", sa.Integer, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("transport", sa.SmallInteger, nullable=False),
        sa.Column("ip", sa.LargeBinary, nullable=False),
        sa.Column("reason", sa.SmallInteger, nullable=False),
        sa.Column("ttl", sa.SmallInteger, nullable=False),
        sa.Column("rtt_us", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("run_key", "port", "transport", "ip"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "services",
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("ip", sa.LargeBinary, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("transport", sa.SmallInteger, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("confidence", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("product", sa.Text),
        sa.Column("version", sa.Text),
        sa.Column("cpe", sa.Text, nullable=False),
        sa.Column("tls", sa.Text, nullable=False),
        sa.Column("rung", sa.Text, nullable=False),
        sa.Column("probe", sa.Text),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("others", sa.Text, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("name", sa.Text),
        sa.PrimaryKeyConstraint(*ENDPOINT),
        sa.ForeignKeyConstraint(["workspace", "run"], ["runs.workspace", "runs.id"]),
    )
    op.create_table(
        "findings",
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("ip", sa.LargeBinary, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("transport", sa.SmallInteger, nullable=False),
        sa.Column("check_name", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("confidence", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("remedy", sa.Text, nullable=False),
        sa.Column("attack", sa.Text, nullable=False),
        sa.Column("sources", sa.Text, nullable=False),
        sa.Column("risk", sa.Text),
        sa.Column("name", sa.Text),
        sa.PrimaryKeyConstraint(*ENDPOINT, "check_name"),
        sa.ForeignKeyConstraint([*ENDPOINT], [f"services.{name}" for name in ENDPOINT], ondelete="CASCADE"),
    )
