"""Cases for review, with what people say of them.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
_KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables; `tidegate cases rebuild` opens cases of rows that are there already."""
    _cases()
    op.create_table(
        "case_notes",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("transaction_id", _KEY, nullable=False),
        sa.Column("written_us", sa.BigInteger, nullable=False),
        sa.Column("written_by", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_case_notes"),
    )
    op.create_index("ix_case_notes_transaction_id", "case_notes", ["transaction_id"])
    op.create_table(
        "case_tags",
        sa.Column("transaction_id", _KEY, nullable=False),
        sa.Column("tag", _KEY, nullable=False),
        sa.PrimaryKeyConstraint("transaction_id", "tag", name="pk_case_tags"),
    )
    op.create_index("ix_case_tags_tag", "case_tags", ["tag"])
    _reviews()


def _cases() -> None:
    op.create_table(
        "cases",
        sa.Column("transaction_id", _KEY, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("event_us", sa.BigInteger, nullable=False),
        sa.Column("ingested_us", sa.BigInteger, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("risk", sa.Double, nullable=False),
        sa.Column("draw", sa.Double, nullable=True),
        sa.Column("fraud", sa.Boolean, nullable=True),
        sa.Column("decided_us", sa.BigInteger, nullable=True),
        sa.Column("decided_by", sa.Text, nullable=True),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.Column("reopened_us", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("assignee", sa.Text, nullable=True),
        sa.Column("snoozed_until_us", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("claim", sa.Text, nullable=True),
        sa.Column("claimed_by", sa.Text, nullable=True),
        sa.Column("claimed_us", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("claimed_until_us", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("transaction_id", name="pk_cases"),
    )
    op.create_index(
        "ix_cases_risk",
        "cases",
        ["risk"],
        postgresql_where=sa.text("open"),
        sqlite_where=sa.text("open = 1"),
    )
    op.create_index(
        "ix_cases_sample",
        "cases",
        ["ingested_us"],
        postgresql_where=sa.text("draw IS NOT NULL"),
        sqlite_where=sa.text("draw IS NOT NULL"),
    )


def _reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column("label_id", _KEY, nullable=False),
        sa.Column("transaction_id", _KEY, nullable=False),
        sa.Column("fraud", sa.Boolean, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("claim", sa.Text, nullable=False),
        sa.Column("claimed_us", sa.BigInteger, nullable=False),
        sa.Column("given_us", sa.BigInteger, nullable=False),
        sa.Column("due_us", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("label_id", name="pk_reviews"),
    )
    op.create_index("ix_reviews_transaction_id", "reviews", ["transaction_id"])
    op.create_index(
        "ix_reviews_due_us",
        "reviews",
        ["due_us"],
        postgresql_where=sa.text("state <> 'counted'"),
        sqlite_where=sa.text("state <> 'counted'"),
    )
