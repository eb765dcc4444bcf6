"""Which case a browser has.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Create the index: there are as many claims as browsers."""
    op.create_index(
        "ix_cases_claim",
        "cases",
        ["claim"],
        postgresql_where=sa.text("claim IS NOT NULL"),
        sqlite_where=sa.text("claim IS NOT NULL"),
    )
