"""The tables of the stage `notify`; nobody else writes to the first two.

A delivery is an event on its way to one channel. Its id follows from both, so a second copy of the
event finds it there.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, text

from db.tables import metadata

WAITS = text("state IN ('pending', 'held')")
"""As the partial index has it: SQLite takes that index for the same words alone, not for bound
values, and not for one of both states.
"""

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),  # of the event: equal for two copies
    Column("state", Text, nullable=False),  # see tidegate.notify.plan.State
    Column("urgent", Integer, nullable=False),
    Column("subject", Text, nullable=False),  # empty once the account is erased
    Column("text", Text, nullable=False),
    Column("data", Text, nullable=False),  # JSON
    Column("account", Text, nullable=True),  # as in `transactions`
    Column("together", Text, nullable=False),  # which held ones are told together
    Column("digest", Text, nullable=True),  # the id of the message within which it is told
    Column("due_us", BigInteger, nullable=False),  # of a held one
    Column("next_try_us", BigInteger, nullable=False),  # of a pending one
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),  # of the event
    Column("created_us", BigInteger, nullable=False),
    Column("sent_us", BigInteger, nullable=True),
    Index("ix_deliveries_created_us", "created_us", "id"),
    Index("ix_deliveries_account", "account"),
    Index("ix_deliveries_digest", "digest"),
    Index(
        "ix_deliveries_waiting",
        "channel",
        "state",
        "created_us",
        postgresql_where=WAITS,
        sqlite_where=WAITS,
    ),
)

delivery_offsets = Table(
    "delivery_offsets",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
    Column("next_index", Integer, nullable=False, server_default="0"),
    Column("cluster_id", Text, nullable=False),
    Column("topic_id", Text, nullable=False),
    Column("partitions", Integer, nullable=False),
)
"""As `db.tables.offsets`, of the alerts: a user of its own may write here and not there."""

mutes = Table(
    "notify_mutes",
    metadata,
    Column("what", Text, primary_key=True),  # channel/NAME or kind/NAME
    Column("until_us", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
)

facts = Table(
    "notify_facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),  # JSON
)
"""`since_us`: what happened before is not told. `channels`: the configuration in use, without its
secrets. `conditions`: what is wrong now, and since when.
"""
