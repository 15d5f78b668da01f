"""Exposures can be asked for by port: a page about a port must not look through all of them."""

from alembic import op

revision = "0040"
down_revision = "0030"


def upgrade() -> None:
    op.create_index("exposures_port", "exposures", ["workspace", "port", "transport"])
