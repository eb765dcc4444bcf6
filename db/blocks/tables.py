"""The table of search blocks."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Integer, LargeBinary, Table

from db.tables import metadata

search_blocks = Table(
    "search_blocks",
    metadata,
    Column("first_seq", BigInteger, primary_key=True, autoincrement=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("min_event_us", BigInteger, nullable=False),
    Column("max_event_us", BigInteger, nullable=False),
    Column("min_score", Double, nullable=False),
    Column("max_score", Double, nullable=False),
    Column("content", LargeBinary, nullable=False),  # `db.blocks.packed.ROW` of each row
)
"""Written with the rows, in their SQL transaction; see `db.blocks.upkeep`."""
