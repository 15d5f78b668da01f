"""Accounts, their workspaces, sessions, one-time links and tokens; failures of signing in."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("password", sa.Text),
        sa.Column("totp_secret", sa.Text),
        sa.Column("totp_step", sa.BigInteger),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("disabled_at", sa.Double),
        sa.Column("password_changed_at", sa.Double),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name_key", name="accounts_name"),
    )
    op.create_table(
        "members",
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("added_at", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double),
        sa.PrimaryKeyConstraint("workspace", "account"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"]),
    )
    op.create_index("members_account", "members", ["account"])
    op.create_table(
        "sessions",
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("csrf", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("hash"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"]),
    )
    op.create_index("sessions_account", "sessions", ["account"])
    op.create_table(
        "links",
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("role", sa.Text),
        sa.Column("account", sa.Text),
        sa.Column("made_by", sa.Text),
        sa.Column("ends_totp", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double),
        sa.PrimaryKeyConstraint("hash"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"]),
    )
    op.create_table(
        "tokens",
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
        sa.PrimaryKeyConstraint("workspace", "id"),
        sa.UniqueConstraint("hash", name="tokens_hash"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"]),
    )
    op.create_table(
        "login_failures",
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at", sa.Double, nullable=False),
        sa.Column("forget_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    op.create_index("login_failures_forget", "login_failures", ["forget_at"])
