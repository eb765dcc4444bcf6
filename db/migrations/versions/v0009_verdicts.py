"""Every verdict as a row.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the table; stage `cases` fills it from the labels' beginning."""
    key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "verdicts",
        sa.Column("label_id", key, nullable=False),
        sa.Column("transaction_id", key, nullable=False),
        sa.Column("fraud", sa.Boolean, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("weight", sa.Double, nullable=False),
        sa.Column("given_us", sa.BigInteger, nullable=False),
        sa.Column("label_offset", sa.BigInteger, nullable=False),
        sa.Column("event_us", sa.BigInteger, nullable=False),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("label_id", name="pk_verdicts"),
    )
    op.create_index("ix_verdicts_transaction_id", "verdicts", ["transaction_id"])
    op.create_index("ix_verdicts_event_us", "verdicts", ["event_us"])
