"""Which policy a row was decided by, what of it hit, and what the model alone would have decided.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns, NULL in rows of versions before, and the index on rows that rules hit."""
    for name, kind in (("policy", sa.Text), ("rule_hits", sa.LargeBinary)):
        op.add_column("transactions", sa.Column(name, kind, nullable=True))
    op.add_column("transactions", sa.Column("model_decision", sa.Text, nullable=True))
    hit = sa.text("rule_hits IS NOT NULL")
    op.create_index(
        "ix_transactions_ruled", "transactions", ["seq"], postgresql_where=hit, sqlite_where=hit
    )
