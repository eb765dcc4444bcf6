"""Rows, offsets, and the names behind the packed columns.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BLOCK = 1_000_000


def upgrade() -> None:
    """Create everything."""
    postgres = op.get_bind().dialect.name == "postgresql"
    if postgres:
        op.execute(
            sa.schema.CreateSequence(
                sa.Sequence("transactions_blocks", start=_BLOCK, increment=_BLOCK)
            )
        )
    _transactions(
        sa.Text(collation="C") if postgres else sa.Text(),
        sa.BigInteger() if postgres else sa.Integer(),
    )
    op.create_table(
        "offsets",
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
        sa.Column("cluster_id", sa.Text, nullable=False),
        sa.Column("topic_id", sa.Text, nullable=False),
        sa.Column("partitions", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name="pk_offsets"),
    )
    op.create_table(
        "profiles",
        sa.Column("hash", sa.Text, nullable=False),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("name", "value_names", "detectors", "entities")
        ),
        sa.PrimaryKeyConstraint("hash", name="pk_profiles"),
    )


def _transactions(key: sa.Text, seq: sa.Integer) -> None:
    longs = (
        "models_offset",
        "online_labels",
        "raw_offset",
        "features_offset",
        "ingested_us",
        "preprocessed_us",
        "scored_us",
        "persisted_us",
    )
    op.create_table(
        "transactions",
        sa.Column("seq", seq, nullable=False),
        sa.Column("event_us", sa.BigInteger, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in longs),
        sa.Column("raw_partition", sa.Integer, nullable=False),
        sa.Column("features_partition", sa.Integer, nullable=False),
        sa.Column("transaction_id", key, nullable=False),
        sa.Column("account", key, nullable=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("profile", "decision", "bundle")),
        sa.Column("body_hash", sa.LargeBinary, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        *(
            sa.Column(name, sa.LargeBinary, nullable=False)
            for name in ("features", "scores", "keys", "trace")
        ),
        sa.Column("reasons", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("seq", name="pk_transactions"),
        sa.UniqueConstraint("transaction_id", name="uq_transactions_transaction_id"),
    )
    op.create_index("ix_transactions_account", "transactions", ["account"])
    flagged = sa.text("decision <> 'approve'")
    op.create_index(
        "ix_transactions_flagged",
        "transactions",
        ["decision", "seq"],
        postgresql_where=flagged,
        sqlite_where=flagged,
    )
