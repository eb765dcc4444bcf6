"""Search blocks: the persist stage packs the rows that are there already, some at a turn.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the table; PostgreSQL is not to try to compress what is packed."""
    op.create_table(
        "search_blocks",
        sa.Column("first_seq", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("min_event_us", sa.BigInteger, nullable=False),
        sa.Column("max_event_us", sa.BigInteger, nullable=False),
        sa.Column("min_score", sa.Double, nullable=False),
        sa.Column("max_score", sa.Double, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("first_seq", name="pk_search_blocks"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE search_blocks ALTER COLUMN content SET STORAGE EXTERNAL")
