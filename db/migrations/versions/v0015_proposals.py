"""Policies that are being written or wait for a second person.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Create the table."""
    key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "policy_proposals",
        sa.Column("id", key, nullable=False),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("instead_of", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("backtest", sa.Text, nullable=True),
        sa.Column("changed_us", sa.BigInteger, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="pk_policy_proposals"),
    )
    op.create_index("ix_policy_proposals_changed_us", "policy_proposals", ["changed_us"])
