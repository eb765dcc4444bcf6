"""The tables of cases and verdicts, as SQLAlchemy Core."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Table, Text, text

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
    Column("label_offset", BigInteger, nullable=False),
    # of the transaction, as its label says:
    Column("event_us", BigInteger, nullable=False),
    Column("profile", Text, nullable=False),  # the version whose columns its row has
    Column("amount_minor", BigInteger, nullable=False),
    Column("score", Double, nullable=False),
    Column("decision", Text, nullable=False),
    Index("ix_verdicts_transaction_id", "transaction_id"),
    Index("ix_verdicts_event_us", "event_us"),
)
"""One row for each label on transactions.labels, but for those of erased transactions. Of those on
one transaction that have a weight the one with the greatest (given_us, label_offset) holds.
"""

cases = Table(
    "cases",
    metadata,
    Column("transaction_id", KEY_TEXT, primary_key=True),
    # of its row:
    Column("decision", Text, nullable=False),
    Column("event_us", BigInteger, nullable=False),
    Column("ingested_us", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("score", Double, nullable=False),
    Column("risk", Double, nullable=False),  # score times amount; without any, the score
    Column("draw", Double, nullable=True),  # of the sample's cases alone, which were approved
    # of the verdict that holds:
    Column("fraud", Boolean, nullable=True),
    Column("decided_us", BigInteger, nullable=True),
    Column("decided_by", Text, nullable=True),
    Column("open", Boolean, nullable=False),
    # of whoever works on it:
    Column("reopened_us", BigInteger, nullable=False, server_default="0"),
    Column("assignee", Text, nullable=True),
    Column("snoozed_until_us", BigInteger, nullable=False, server_default="0"),
    Column("claim", Text, nullable=True),  # of a browser
    Column("claimed_by", Text, nullable=True),
    Column("claimed_us", BigInteger, nullable=False, server_default="0"),
    Column("claimed_until_us", BigInteger, nullable=False, server_default="0"),
    Index(
        "ix_cases_risk",
        "risk",
        postgresql_where=text("open"),
        sqlite_where=text("open = 1"),  # as SQLAlchemy writes the condition
    ),
    Index(
        "ix_cases_claim",
        "claim",
        postgresql_where=text("claim IS NOT NULL"),
        sqlite_where=text("claim IS NOT NULL"),
    ),
    Index(
        "ix_cases_sample",
        "ingested_us",
        postgresql_where=text("draw IS NOT NULL"),
        sqlite_where=text("draw IS NOT NULL"),
    ),
)
"""One row for each transaction that people have to look at: flagged, or of the sample. What is of
its row and of verdicts can be made again from these; what is of people cannot.
"""

case_notes = Table(
    "case_notes",
    metadata,
    Column("id", KEY_TEXT, primary_key=True),
    Column("transaction_id", KEY_TEXT, nullable=False),
    Column("written_us", BigInteger, nullable=False),
    Column("written_by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Index("ix_case_notes_transaction_id", "transaction_id"),
)

case_tags = Table(
    "case_tags",
    metadata,
    Column("transaction_id", KEY_TEXT, primary_key=True),
    Column("tag", KEY_TEXT, primary_key=True),
    Index("ix_case_tags_tag", "tag"),
)

reviews = Table(
    "reviews",
    metadata,
    Column("label_id", KEY_TEXT, primary_key=True),
    Column("transaction_id", KEY_TEXT, nullable=False),
    Column("fraud", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("claim", Text, nullable=False),  # of the browser
    Column("claimed_us", BigInteger, nullable=False),
    Column("given_us", BigInteger, nullable=False),
    Column("due_us", BigInteger, nullable=False),  # when its state ends by itself
    Column("state", Text, nullable=False),
    Index("ix_reviews_transaction_id", "transaction_id"),
    Index(
        "ix_reviews_due_us",
        "due_us",
        postgresql_where=text("state <> 'counted'"),
        sqlite_where=text("state <> 'counted'"),
    ),
)
"""What people said on the page for review: see `db.cases.outbox` for the states."""
