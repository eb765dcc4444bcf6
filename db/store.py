"""Reading rows by id, by page and for labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from db import names
from db.cases.tables import verdicts
from db.decode import DECIDED, ScoredRow, full, in_brief, revision, scored_row
from db.engine import open_database, parts, retrying
from db.names import Names, names_of
from db.positions import address_in
from db.search.filters import holding
from db.tables import offsets, revisions, transactions
from tidegate.broker.records import TopicPartition
from tidegate.profile import Profile

_ENDS = 21  # rows at either end of the table that say when the stream began, and where it is
_LOOKUP = 1000  # ids in one IN list
_CHUNK = 50_000  # rows in memory while all are read
_FILTERS: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "decision": transactions.c.decision.__eq__,
    "account": transactions.c.account.__eq__,
    "since_us": transactions.c.event_us.__ge__,
    "until_us": transactions.c.event_us.__lt__,
    "min_score": transactions.c.score.__ge__,
}
Documents = list[dict[str, Any]]
Page = tuple[Documents, str | None]
"""Rows, and the cursor of the next page."""
_BRIEF = (
    *DECIDED,
    "ingested_us",
    "persisted_us",
    "payload",
    "reasons",
)


class Store:
    """Read-only access, safe for many threads.

    Every method raises Retry while the database is away. `profile` is the one that runs; rows of
    any other that ever wrote here are decoded by the names it left. `seconds`: see
    `db.engine.open_database`.
    """

    def __init__(
        self, url: str, profile: Profile | Names | None = None, seconds: float = 0.0
    ) -> None:
        self._database = open_database(url, "read", seconds)
        self._names: dict[str, Names] = {}
        if profile is not None:
            known = profile if isinstance(profile, Names) else names_of(profile)
            self._names[known.hash] = known

    def get(self, transaction_id: str) -> dict[str, Any] | None:
        """One row in full, None when there is none (yet): see `db.decode.full` for its keys.

        Beside them `revision`: what it would have been with all detectors (rescored_us, score,
        decision, scores), None unless it was degraded and rescored.
        """
        if "\0" in transaction_id:  # no id has one, and PostgreSQL takes none in a question
            return None
        rows = self._rows(
            select(transactions).where(transactions.c.transaction_id == transaction_id)
        )
        if not rows:
            return None
        row = rows[0]._mapping
        document = full(row, self._names_of(row["profile"]))
        document["revision"] = self._revision(document) if document["degraded"] else None
        return document

    def _revision(self, document: Mapping[str, Any]) -> dict[str, Any] | None:
        query = select(revisions).where(revisions.c.transaction_id == document["transaction_id"])
        rows = self._rows(query)
        if not rows:
            return None
        return revision(rows[0]._mapping, self._names_of(document["profile"]))

    def recent(self, after: int, limit: int = 50) -> Documents:
        """The newest rows with a `seq` above `after`, newest first.

        For the eye: with several persist processes, a row of a lower `seq` may be committed later,
        and is then met by `list` only.
        """
        query = (
            _brief()
            .where(transactions.c.seq > after)
            .order_by(transactions.c.seq.desc())
            .limit(limit)
        )
        return [in_brief(row._mapping) for row in self._rows(query)]

    def counts(self) -> dict[str, int]:
        """Rows by decision; reads the whole table's index, so not for every request."""
        flagged = transactions.c.decision != "approve"
        query = select(transactions.c.decision, func.count().label("rows")).where(flagged)
        rows = self._rows(query.group_by(transactions.c.decision))
        counts = {row.decision: row.rows for row in rows}
        return {"approve": self.count() - sum(counts.values()), "review": 0, "block": 0} | counts

    def count(self) -> int:
        """All rows."""
        (row,) = self._rows(select(func.count().label("rows")).select_from(transactions))
        return int(row.rows)

    def age_us(self) -> int:
        """Event time from the first rows to the newest, in us; 0 without rows.

        The medians of a few rows at either end: one clock that is wrong does not make it.
        """
        seq = transactions.c.seq
        query = select(transactions.c.event_us).limit(_ENDS)
        first, newest = (
            [row.event_us for row in self._rows(query.order_by(order))]
            for order in (seq, seq.desc())
        )
        return max(0, int(np.median(newest) - np.median(first))) if first else 0

    def lookup(self, ids: Sequence[str]) -> dict[str, ScoredRow]:
        """The rows of these transactions by id; those without a row are left out."""
        scored: dict[str, ScoredRow] = {}
        wanted = list(dict.fromkeys(ids))
        for some in parts(wanted, _LOOKUP):
            query = select(transactions).where(transactions.c.transaction_id.in_(some))
            for row in self._rows(query):
                scored[row.transaction_id] = scored_row(row._mapping, self._names_of(row.profile))
        return scored

    def brief(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """These transactions in brief by id, as `list` gives them, and `policy`; those without a
        row are left out.
        """
        found: dict[str, dict[str, Any]] = {}
        for some in parts(list(dict.fromkeys(ids)), _LOOKUP):
            query = _brief().add_columns(transactions.c.policy)
            for row in self._rows(query.where(transactions.c.transaction_id.in_(some))):
                found[row.transaction_id] = in_brief(row._mapping)
        return found

    def existing(self, ids: Sequence[str]) -> set[str]:
        """Those of these transactions that are rows."""
        existing: set[str] = set()
        for some in parts(ids, _LOOKUP):
            query = select(transactions.c.transaction_id).where(
                transactions.c.transaction_id.in_(some)
            )
            existing.update(row[0] for row in self._rows(query))
        return existing

    def has_columns_of(self, version: str, profile: Profile) -> bool:
        """Whether rows of the profile version with this hash have the columns of `profile`: the
        same values and entities, by name and in order.
        """
        known = self._names_of(version)
        wanted = names_of(profile)
        return known is not None and (known.values, known.entities) == (
            wanted.values,
            wanted.entities,
        )

    def raw_places(self, since_us: int) -> Iterator[NDArray[np.int64]]:
        """Partition and offset on the raw topic, and time of ingest (us), i8[n, 3], of all rows
        that were ingested at `since_us` or later, in no order.
        """
        query = (
            select(
                transactions.c.raw_partition, transactions.c.raw_offset, transactions.c.ingested_us
            )
            .where(transactions.c.ingested_us >= since_us)
            .execution_options(yield_per=_CHUNK)
        )
        with retrying(self._database), self._database.engine.connect() as connection:
            for rows in connection.execute(query).partitions():
                yield np.array([tuple(row) for row in rows], np.int64)

    def positions(self) -> dict[TopicPartition, int]:
        """The next address of each partition whose records become rows."""
        return {
            TopicPartition(row.topic, row.partition): address_in(row)
            for row in self._rows(select(offsets))
        }

    def list(self, filters: Mapping[str, Any], cursor: str | None, limit: int) -> Page:
        """Rows newest first in brief, and the cursor of the next page (None: this is the last).

        `filters`: any of decision, account, since_us (inclusive), until_us (exclusive; both event
        time), min_score. Every row that is there at the first page is met once, whatever is
        inserted meanwhile. Raises ValueError for a cursor that no page gave, KeyError for another
        filter.
        """
        query = _brief().where(*(_FILTERS[name](value) for name, value in filters.items()))
        if cursor is not None:
            query = query.where(transactions.c.seq < int(cursor))
        rows = self._rows(query.order_by(transactions.c.seq.desc()).limit(limit + 1))
        page = [in_brief(row._mapping) for row in rows[:limit]]
        return page, str(page[-1]["seq"]) if len(rows) > limit else None

    def payloads(self, limit: int, account: str | None = None) -> dict[int, tuple[str, str]]:
        """Ids and payloads of the newest rows, of one account or of all, by `seq`."""
        names = (transactions.c.seq, transactions.c.transaction_id, transactions.c.payload)
        query = select(*names)
        if account is not None:
            query = query.where(transactions.c.account == account)
        rows = self._rows(query.order_by(transactions.c.seq.desc()).limit(limit))
        return {row.seq: (row.transaction_id, row.payload) for row in rows}

    def verdicts_on(self, ids: Sequence[str]) -> dict[str, bool]:
        """Whether each of these transactions was a fraud, by the verdict that holds; those without
        one are left out.
        """
        found: dict[str, bool] = {}
        for some in parts(list(dict.fromkeys(ids)), _LOOKUP):
            query = cast(Select[Any], holding(verdicts.c.transaction_id.in_(some)))
            for row in self._rows(query):
                found[row.transaction_id] = bool(row.fraud)
        return found

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that changes nothing, for the functions of `db.search`."""
        with retrying(self._database), self._database.engine.connect() as connection:
            yield connection

    def briefs(self, connection: Connection, seqs: Sequence[int]) -> Documents:
        """The rows of these numbers in brief, newest first."""
        query = _brief().where(transactions.c.seq.in_(seqs)).order_by(transactions.c.seq.desc())
        return [in_brief(row._mapping) for row in connection.execute(query)]

    def full(self, connection: Connection, seqs: Sequence[int]) -> Documents:
        """The rows of these numbers as `get` gives them, without revisions; newest first."""
        documents = []
        for some in parts(seqs, _LOOKUP):
            query = select(transactions).where(transactions.c.seq.in_(some))
            for row in connection.execute(query.order_by(transactions.c.seq.desc())):
                known = self._names.get(row.profile) or self._named(connection, row.profile)
                documents.append(full(row._mapping, known))
        return documents

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with retrying(self._database), self._database.engine.connect() as connection:
            return connection.execute(query).all()

    def _names_of(self, profile: str) -> Names | None:
        if profile not in self._names:
            with retrying(self._database), self._database.engine.connect() as connection:
                return self._named(connection, profile)
        return self._names[profile]

    def _named(self, connection: Connection, profile: str) -> Names | None:
        known = names.load(connection, profile)
        if known is not None:
            self._names[profile] = known
        return known


def _brief() -> Select[Any]:
    return select(*(transactions.c[name] for name in _BRIEF))
