"""Groups of dead letters that somebody resolved.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "letter_groups",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("signature", "note", "who")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("at_us", "until_ms")),
        sa.PrimaryKeyConstraint("signature", name="pk_letter_groups"),
    )
