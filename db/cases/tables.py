"""The tables of cases and verdicts, as SQLAlchemy Core."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Table, Text

from db.tables import KEY_TEXT, metadata

verdicts = Table(
    "verdicts",
    metadata,
    Column("label_id", KEY_TEXT, primary_key=True),
    Column("transaction_id", KEY_TEXT, nullable=False),
    Column("fraud", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("weight", Double, nullable=False),  # with 0 it counts nowhere
    Column("given_us", BigInteger, nullable=False),
    Column("event_us", BigInteger, nullable=False),  # of the transaction
    Column("label_offset", BigInteger, nullable=False),
    Index("ix_verdicts_transaction_id", "transaction_id"),
)
"""One row for each label on transactions.labels, but for those of erased transactions. Of those on
one transaction that have a weight the one with the greatest (given_us, label_offset) holds.
"""
