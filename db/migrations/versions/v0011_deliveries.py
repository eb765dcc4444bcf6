"""What is told to whom: the outbox of the stage `notify`.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
_WAITS = sa.text("state IN ('pending', 'held')")


def upgrade() -> None:
    """Create the four tables."""
    op.create_table(
        "deliveries",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("id", "channel", "kind", "key")),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("urgent", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("subject", "text", "data")),
        sa.Column("account", sa.Text, nullable=True),
        sa.Column("together", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=True),
        sa.Column("due_us", sa.BigInteger, nullable=False),
        sa.Column("next_try_us", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("sent_us", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_created_us", "deliveries", ["created_us", "id"])
    op.create_index("ix_deliveries_account", "deliveries", ["account"])
    op.create_index("ix_deliveries_digest", "deliveries", ["digest"])
    op.create_index(
        "ix_deliveries_waiting",
        "deliveries",
        ["channel", "state", "created_us"],
        postgresql_where=_WAITS,
        sqlite_where=_WAITS,
    )
    op.create_table(
        "delivery_offsets",
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
        sa.Column("next_index", sa.Integer, nullable=False, server_default="0"),
        sa.Column("cluster_id", sa.Text, nullable=False),
        sa.Column("topic_id", sa.Text, nullable=False),
        sa.Column("partitions", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name="pk_delivery_offsets"),
    )
    op.create_table(
        "notify_mutes",
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("what", name="pk_notify_mutes"),
    )
    op.create_table(
        "notify_facts",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_notify_facts"),
    )
