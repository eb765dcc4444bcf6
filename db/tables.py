"""The tables, as SQLAlchemy Core. `db/migrations` makes them; a test compares the two.

Every index is paid for by every insert, so there are only those that a shipped query needs:

- `transaction_id`, unique: look-up by id, and what makes rows exactly once;
- `seq`, the primary key: newest first, a page at a time (on SQLite it is the rowid: free);
- `account`, for one customer's history;
- the few rows that are not approved, by decision (a partial index: approved rows do not pay);
- those that a rule or list hit, the newest first (the same way).

Numbers that have not happened (no model offset, no labels read) are
`tidegate.messages.frames.NONE`, as in the frames.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

_Seq = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER PRIMARY KEY is SQLite's rowid
# Bytewise order, as SQLite's: an index does not depend on the server's locale, nor break when its
# rules change.
KEY_TEXT = Text().with_variant(Text(collation="C"), "postgresql")

BLOCK = 1_000_000
"""Rows that may take their `seq` from one value of the sequence; more than any batch holds."""
blocks = Sequence("transactions_blocks", metadata=metadata, start=BLOCK, increment=BLOCK)
"""PostgreSQL only: `seq` of a batch's rows is this value and the numbers after it (one call instead
of one per row).
"""

transactions = Table(
    "transactions",
    metadata,
    Column("seq", _Seq, primary_key=True),  # grows with every insert: the paging key
    Column("event_us", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("score", Double, nullable=False),
    Column("models_offset", BigInteger, nullable=False),
    Column("online_labels", BigInteger, nullable=False),
    Column("raw_offset", BigInteger, nullable=False),
    Column("features_offset", BigInteger, nullable=False),
    Column("ingested_us", BigInteger, nullable=False),
    Column("preprocessed_us", BigInteger, nullable=False),
    Column("scored_us", BigInteger, nullable=False),
    Column("persisted_us", BigInteger, nullable=False),
    Column("raw_partition", Integer, nullable=False),
    Column("features_partition", Integer, nullable=False),
    Column("features_index", Integer, nullable=False, server_default="0"),  # within its block
    Column("transaction_id", KEY_TEXT, nullable=False, unique=True),
    Column("account", KEY_TEXT, nullable=True),
    Column("profile", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("bundle", Text, nullable=False),
    Column("body_hash", LargeBinary, nullable=False),  # 16 bytes
    Column("payload", Text, nullable=False),  # canonical JSON
    Column(
        "features", LargeBinary, nullable=False
    ),  # packed <f8 in the order of profiles.value_names
    Column(
        "scores", LargeBinary, nullable=False
    ),  # packed <f8 in the order of profiles.detectors; shadow
    Column(
        "keys", LargeBinary, nullable=False
    ),  # packed <u8 in the order of the profile's hashed fields
    Column("trace", LargeBinary, nullable=False),  # `db.rows.STEP` for each keyed step
    Column("reasons", Text, nullable=True),  # JSON
    Column("policy", Text, nullable=True),  # its version, 16 hexadecimal digits
    Column("rule_hits", LargeBinary, nullable=True),  # 16 bytes: `tidegate.messages.rule_hits`
    Column("model_decision", Text, nullable=True),  # where the decision is another
    Index("ix_transactions_account", "account"),
    Index(
        "ix_transactions_flagged",
        "decision",
        "seq",
        postgresql_where=text("decision <> 'approve'"),
        sqlite_where=text("decision <> 'approve'"),
    ),
    Index(
        "ix_transactions_ruled",
        "seq",
        postgresql_where=text("rule_hits IS NOT NULL"),
        sqlite_where=text("rule_hits IS NOT NULL"),
    ),
)

offsets = Table(
    "offsets",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
    Column("next_index", Integer, nullable=False, server_default="0"),  # within that block
    Column("cluster_id", Text, nullable=False),
    Column("topic_id", Text, nullable=False),
    Column("partitions", Integer, nullable=False),
)
"""The next record to persist of each partition: it changes in the transaction that writes the rows
before it.
"""

profiles = Table(
    "profiles",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("value_names", Text, nullable=False),  # JSON arrays
    Column("detectors", Text, nullable=False),
    Column("entities", Text, nullable=False),
)
"""The names behind the packed columns, for every profile that has written rows here."""

revisions = Table(
    "revisions",
    metadata,
    Column("transaction_id", KEY_TEXT, primary_key=True),
    Column("rescored_us", BigInteger, nullable=False),
    Column("score", Double, nullable=False),
    Column("decision", Text, nullable=False),
    Column("scores", LargeBinary, nullable=False),  # packed <f8 in the order of profiles.detectors
)
"""What a row that was decided without a failed detector would have been with it; the row itself
never changes.
"""

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),  # 8 hexadecimal digits, for people
    Column("name", Text, nullable=False),  # of the client; its key before may hold beside it
    Column("hash", LargeBinary, nullable=False, unique=True),  # SHA-256 of the key
    Column("scopes", Text, nullable=False),  # with spaces between
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=True),
    Column("revoked_us", BigInteger, nullable=True),
    Column("rate", Integer, nullable=False),  # requests a second, 0: any
)
"""The keys of the API's clients: see `tidegate.access.scopes`. Rows are never deleted."""

answers = Table(
    "answers",
    metadata,
    Column("key", LargeBinary, primary_key=True),  # SHA-256 of client, path and Idempotency-Key
    Column("request", LargeBinary, nullable=False),  # SHA-256 of path, query and body
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("location", Text, nullable=False),
    Column("answered_us", BigInteger, nullable=False),
    Index("ix_answers_answered_us", "answered_us"),
)
"""First answers: see `db.answers`, which deletes those that are older than two days."""

users = Table(
    "users",
    metadata,
    Column("name", Text, primary_key=True),
    Column("password", Text, nullable=False),  # Argon2id, with its salt
    Column("role", Text, nullable=False),
    Column("changed_us", BigInteger, nullable=False),
)
"""Who may sign in to the results pages: see `tidegate.access.users`."""

secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
"""Random bytes that all processes share: the migration makes them."""

account_keys = Table(
    "account_keys",
    metadata,
    Column("id", LargeBinary, primary_key=True),  # 8 bytes by chance
    Column("account", LargeBinary, nullable=True, unique=True),  # SHA-256 of its token
    Column("wrapped", LargeBinary, nullable=True),  # nonce, AES-256-GCM of the key, tag
    Column("created_us", BigInteger, nullable=False),
    Column("destroyed_us", BigInteger, nullable=True),
)
"""By what accounts' payloads are encrypted: see `db.account_keys`. Of a destroyed key only its id
and the times are left.
"""

erased = Table(
    "erased",
    metadata,
    Column("id", LargeBinary, primary_key=True),  # a keyed hash of the transaction's id
    Column("erased_us", BigInteger, nullable=False),
)
"""Which transactions had rows that were erased with their account: see `db.erasing`."""

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3, ...
    Column("at_us", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON
    Column("hash", LargeBinary, nullable=False),  # of this entry and the hash before it
)
"""Who did what: see `db.audit`. Triggers refuse every change but a new entry."""
