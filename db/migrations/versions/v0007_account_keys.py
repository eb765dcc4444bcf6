"""Keys of accounts, and the ids of transactions that were erased.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "account_keys",
        sa.Column("id", sa.LargeBinary, nullable=False),
        sa.Column("account", sa.LargeBinary, nullable=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=True),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("destroyed_us", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_account_keys"),
        sa.UniqueConstraint("account", name="uq_account_keys_account"),
    )
    op.create_table(
        "erased",
        sa.Column("id", sa.LargeBinary, nullable=False),
        sa.Column("erased_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_erased"),
    )
