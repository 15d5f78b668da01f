"""From when to when endpoints were open, and what each run found changed."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "exposures",
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("vantage", sa.Text, nullable=False),
        sa.Column("ip", sa.LargeBinary, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("transport", sa.SmallInteger, nullable=False),
        sa.Column("opened", sa.Double, nullable=False),
        sa.Column("opened_run", sa.Text, nullable=False),
        sa.Column("shut_before", sa.Double),
        sa.Column("open_until", sa.Double),
        sa.Column("closed", sa.Double),
        sa.Column("closed_run", sa.Text),
        sa.PrimaryKeyConstraint("workspace", "vantage", "ip", "port", "transport", "opened"),
    )
    op.create_table(
        "changes",
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("ip", sa.LargeBinary, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("transport", sa.SmallInteger, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("last_seen", sa.Double),
        sa.Column("first_seen", sa.Double),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("service_before", sa.Text),
        sa.Column("service_after", sa.Text),
        sa.Column("risk", sa.Text),
        sa.Column("flapping", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "run", "number"),
        sa.ForeignKeyConstraint(["workspace", "run"], ["runs.workspace", "runs.id"]),
    )
