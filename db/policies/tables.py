"""The table of policies that are being written or wait for a second person."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from db.tables import KEY_TEXT, metadata

policy_proposals = Table(
    "policy_proposals",
    metadata,
    Column("id", KEY_TEXT, primary_key=True),  # 16 hexadecimal digits by chance
    Column("profile", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("state", Text, nullable=False),  # draft, proposed, applied, rejected
    Column("instead_of", Text, nullable=False),  # the version that was in force when it began
    Column("version", Text, nullable=False),
    Column("policy", Text, nullable=False),  # JSON; {} once it is decided
    Column("backtest", Text, nullable=True),  # JSON, of the version that it names
    Column("changed_us", BigInteger, nullable=False),
    Column("decided_by", Text, nullable=False, server_default=""),
    Index("ix_policy_proposals_changed_us", "changed_us"),
)
"""What is not in force yet; all that ever was in force is on topic promotions."""
