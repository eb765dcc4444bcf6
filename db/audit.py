"""Who did what, and when: entries that are only ever added, each hashed with the one before it."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, select, text

from db.engine import make_durable, open_database, reading_table, retrying, writing
from db.tables import audit
from tidegate.clock import now_us
from tidegate.errors import ConfigError, Retry
from tidegate.messages.documents import Verdict
from tidegate.words import count

START = bytes(32)
"""What the first entry is hashed with."""
_LOCK = 0x6175_6469  # "audi"
_ROWS = 10_000
_NAMED = 20
"""So many verdicts of a request are named."""


class Act(NamedTuple):
    """What somebody does: `about` names a key, a user, a bundle, or a transaction."""

    who: str
    what: str
    about: str
    detail: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it


def verdicts_given(who: str, verdicts: Sequence[Verdict]) -> Act:
    """One act a request: it names each of a few verdicts, of more their number; and a hash."""
    one = len(verdicts) == 1
    named = [[verdict.label_id, verdict.verdict] for verdict in verdicts]
    lines = msgspec.json.Encoder().encode_lines(verdicts)
    return Act(
        who,
        "verdict given" if one else "verdicts given",
        verdicts[0].transaction_id if one else count(len(verdicts), "transaction"),
        {
            "verdicts": named if len(verdicts) <= _NAMED else None,
            "sha256": hashlib.sha256(lines).hexdigest(),
        },
    )


class Entry(NamedTuple):
    """An act as it is kept, `seq` from 1 on; `detail` is JSON."""

    seq: int
    at_us: int
    who: str
    what: str
    about: str
    detail: str
    hash: bytes

    def hashed(self, before: bytes) -> bytes:
        """SHA-256 of the hash before it and of what the entry says."""
        said = msgspec.json.encode(self[:-1])
        return hashlib.sha256(before + said).digest()


class Verified(NamedTuple):
    """How many entries hold, and the hash of the last one; `wrong`: the first that does not, or
    None.
    """

    entries: int
    head: bytes
    wrong: int | None


class AuditLog:
    """Adds entries, for the web processes. Thread-safe."""

    def __init__(self, url: str) -> None:
        self._database = open_database(url)

    def add(self, act: Act) -> None:
        """Raises Retry, ConfigError: then the act must not be done."""
        with retrying(self._database), self._database.engine.begin() as connection:
            append(connection, act)

    def close(self) -> None:
        self._database.close()


def append(connection: Connection, act: Act) -> None:
    """Add an entry in the open transaction of a writer, in which the act itself may be done.

    No crash of the server takes either back.
    """
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    make_durable(connection)
    seq, before = _newest(connection) or (0, START)
    detail = msgspec.json.encode(act.detail, order="sorted").decode()
    entry = Entry(seq + 1, now_us(), act.who, act.what, act.about, detail, b"")
    values = entry._replace(hash=entry.hashed(before))._asdict()
    connection.execute(audit.insert().values(values))


def record(url: str, act: Act) -> bool:
    """Add an entry; False where there is no table yet. Raises Retry."""
    with reading_table(url, audit.name) as connection:
        if connection is None:
            return False
    with writing(url) as connection:
        append(connection, act)
    return True


def tell(url: str, act: Act) -> str:
    """As `record`, for what must not wait for a database: a remark where it could not be told."""
    try:
        told = record(url, act)
    except (Retry, ConfigError) as error:
        return f"not in the audit: {error}"
    return "" if told else "there is no audit yet: `tidegate setup` makes its table"


def verify(url: str, known: Iterable[tuple[int, bytes]] = ()) -> Verified:
    """Compute every hash again. `known`: entries that were the last one some time, and their
    hashes.

    They find out what was cut off at the end, or made anew as a whole. Raises Retry.
    """
    sealed: dict[int, set[bytes]] = {}
    for seq, digest in known:
        sealed.setdefault(seq, set()).add(digest)
    entries, before = 0, START
    with closing(export(url)) as found:
        for entry in found:
            hashes = {entry.hash, entry.hashed(before)} | sealed.get(entry.seq, set())
            if entry.seq != entries + 1 or len(hashes) > 1:
                return Verified(entries, before, entries + 1)
            entries, before = entry.seq, entry.hash
    cut = max(sealed, default=0) > entries
    return Verified(entries, before, entries + 1 if cut else None)


def head(url: str) -> tuple[int, bytes] | None:
    """The number and the hash of the newest entry; None without one. Raises Retry."""
    with reading_table(url, audit.name) as connection:
        return _newest(connection) if connection else None


def _newest(connection: Connection) -> tuple[int, bytes] | None:
    query = select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return (row.seq, bytes(row.hash)) if row else None


def hash_of(url: str, seq: int) -> bytes | None:
    """The hash of an entry; None when it is not there. Raises Retry."""
    query = select(audit.c.hash).where(audit.c.seq == seq)
    with reading_table(url, audit.name) as connection:
        found = connection.scalar(query) if connection else None
    return None if found is None else bytes(found)


def export(url: str, since_us: int = 0) -> Generator[Entry, None, None]:
    """The entries from a time on, oldest first; none where there is no table. Raises Retry."""
    query = select(audit).where(audit.c.at_us >= since_us).order_by(audit.c.seq)
    with reading_table(url, audit.name) as connection:
        if connection is None:
            return
        with connection.execute(query.execution_options(yield_per=_ROWS)) as rows:
            yield from map(_entry, rows)


def _entry(row: Row[tuple[Any, ...]]) -> Entry:
    return Entry(row.seq, row.at_us, row.who, row.what, row.about, row.detail, bytes(row.hash))
