"""The index of a transaction in its block, beside the block's offset.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add both columns; what lay alone in its message is the first of its block."""
    index = sa.Column("features_index", sa.Integer, nullable=False, server_default="0")
    op.add_column("transactions", index)
    op.add_column(
        "offsets", sa.Column("next_index", sa.Integer, nullable=False, server_default="0")
    )
