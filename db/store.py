"""Reading rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import ColumnElement, Row, RowMapping, Select, func, select

from db import names
from db.engine import open_database, retrying
from db.names import Names, names_of
from db.tables import revisions, transactions
from tidegate.messages.frames import STEP, Decision
from tidegate.profile import Profile

SHADOW = "shadow"
"""The name of a shadow's score among a row's scores."""
_ENDS = 21  # rows at either end of the table that say when the stream began, and where it is
_LOOKUP = 1000  # ids in one IN list
_PART = 50_000  # rows held at once where all are read
_FILTERS: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "decision": transactions.c.decision.__eq__,
    "account": transactions.c.account.__eq__,
    "since_us": transactions.c.event_us.__ge__,
    "until_us": transactions.c.event_us.__lt__,
    "min_score": transactions.c.score.__ge__,
}
Rows = list[dict[str, Any]]
Page = tuple[Rows, str | None]
_BRIEF = (
    "seq",
    "transaction_id",
    "account",
    "profile",
    "event_us",
    "amount_minor",
    "decision",
    "score",
    "bundle",
    "ingested_us",
    "persisted_us",
    "payload",
    "reasons",
)
_PLAIN = (
    "seq",
    "transaction_id",
    "account",
    "profile",
    "event_us",
    "amount_minor",
    "decision",
    "score",
    "bundle",
    "models_offset",
    "online_labels",
    "raw_partition",
    "raw_offset",
    "features_partition",
    "features_offset",
    "ingested_us",
    "preprocessed_us",
    "scored_us",
    "persisted_us",
    "payload",
)


class ScoredRow(NamedTuple):
    """What a label needs of its row, as `tidegate.messages.documents.Label` names it."""

    transaction_id: str
    profile: str
    event_us: int
    amount_minor: int
    keys: list[int]
    values: list[float | None]
    score: float
    decision: Decision
    entities: list[str | None]


class Store:
    """Read-only access, safe for many threads. Every method raises Retry while the database is
    away.

    `profile` is the one that runs; rows of any other that ever wrote here are decoded by the names
    it left.
    """

    def __init__(self, url: str, profile: Profile | Names | None = None) -> None:
        self._database = open_database(url, "read")
        self._names: dict[str, Names] = {}
        if profile is not None:
            known = profile if isinstance(profile, Names) else names_of(profile)
            self._names[known.hash] = known

    def get(self, transaction_id: str) -> dict[str, Any] | None:
        """One row in full, None when there is none (yet): see `_full` for its keys.

        Beside them `revision`: what it would have been with all detectors (rescored_us, score,
        decision, scores), None unless it was degraded and rescored.
        """
        rows = self._rows(
            select(transactions).where(transactions.c.transaction_id == transaction_id)
        )
        if not rows:
            return None
        found = self._full(rows[0]._mapping)
        return found | {
            "revision": self._revision(transaction_id, found["profile"])
            if found["degraded"]
            else None
        }

    def _revision(self, transaction_id: str, profile: str) -> dict[str, Any] | None:
        known = self._names_of(profile)
        rows = self._rows(select(revisions).where(revisions.c.transaction_id == transaction_id))
        return next(
            (
                {
                    "rescored_us": row.rescored_us,
                    "score": row.score,
                    "decision": row.decision,
                    "scores": _named(known.detectors if known else (), _floats(row.scores)),
                }
                for row in rows
            ),
            None,
        )

    def recent(self, after: int, limit: int = 50) -> Rows:
        """The newest rows with a `seq` above `after`, newest first. For the eye: with several
        persist processes, a row of a lower `seq` may be committed later, and is then met by `list`
        only.
        """
        query = (
            _brief()
            .where(transactions.c.seq > after)
            .order_by(transactions.c.seq.desc())
            .limit(limit)
        )
        return [_in_brief(row._mapping) for row in self._rows(query)]

    def counts(self) -> dict[str, int]:
        """Rows by decision; reads the whole table's index, so not for every request."""
        flagged = transactions.c.decision != "approve"
        query = select(transactions.c.decision, func.count().label("rows")).where(flagged)
        counts = {
            row.decision: row.rows for row in self._rows(query.group_by(transactions.c.decision))
        }
        return {"approve": self.count() - sum(counts.values()), "review": 0, "block": 0} | counts

    def count(self) -> int:
        """All rows."""
        return sum(
            row.rows
            for row in self._rows(select(func.count().label("rows")).select_from(transactions))
        )

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
        found: dict[str, ScoredRow] = {}
        wanted = list(dict.fromkeys(ids))
        for start in range(0, len(wanted), _LOOKUP):
            query = select(transactions).where(
                transactions.c.transaction_id.in_(wanted[start : start + _LOOKUP])
            )
            found.update(
                (row.transaction_id, self._scored(row._mapping)) for row in self._rows(query)
            )
        return found

    def existing(self, ids: Sequence[str]) -> set[str]:
        """Those of these transactions that are rows."""
        found: set[str] = set()
        for start in range(0, len(ids), _LOOKUP):
            query = select(transactions.c.transaction_id).where(
                transactions.c.transaction_id.in_(ids[start : start + _LOOKUP])
            )
            found.update(row[0] for row in self._rows(query))
        return found

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
        found = [_in_brief(row._mapping) for row in rows[:limit]]
        return found, str(found[-1]["seq"]) if len(rows) > limit else None

    def decided(self, profile: str, days: float) -> Iterator[tuple[str, int, Decision]]:
        """Id, event time in us and decision of a profile's (hash) rows, those within `days` of the
        newest event time.

        In the order of arrival. Reads the whole table.
        """
        mine = transactions.c.profile == profile
        newest = self._rows(select(func.max(transactions.c.event_us).label("us")).where(mine))[0].us
        columns = [
            transactions.c[name] for name in ("seq", "transaction_id", "event_us", "decision")
        ]
        query = select(*columns).where(
            mine, transactions.c.event_us > (newest or 0) - days * 86_400e6
        )
        last = -1
        while rows := self._rows(
            query.where(transactions.c.seq > last).order_by(transactions.c.seq).limit(_PART)
        ):
            last = rows[-1].seq
            yield from ((row.transaction_id, row.event_us, row.decision) for row in rows)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with retrying(self._database), self._database.engine.connect() as connection:
            return connection.execute(query).all()

    def _names_of(self, profile: str) -> Names | None:
        if profile not in self._names:
            with retrying(self._database), self._database.engine.connect() as connection:
                known = names.load(connection, profile)
            if known is None:
                return None
            self._names[profile] = known
        return self._names[profile]

    def _scored(self, row: RowMapping) -> ScoredRow:
        known, payload = self._names_of(row["profile"]), json.loads(row["payload"])
        entities = [payload.get(name) for name in known.entities] if known else []
        return ScoredRow(
            row["transaction_id"],
            row["profile"],
            row["event_us"],
            row["amount_minor"],
            np.frombuffer(row["keys"], "<u8").tolist(),
            _floats(row["features"]),
            row["score"],
            row["decision"],
            [None if entity is None else str(entity) for entity in entities],
        )

    def _full(self, row: RowMapping) -> dict[str, Any]:
        """The plain columns (payload is JSON text), and decoded: reasons (list), features and
        scores (by name; a NaN is None), degraded (the detectors left out), steps (partition,
        offset, labels, time_us of each keyed step), body_hash (hex), profile_name.
        """
        known = self._names_of(row["profile"])
        features, scores = _floats(row["features"]), _floats(row["scores"])
        steps, named = (
            np.frombuffer(row["trace"], STEP),
            _scores(known.detectors if known else (), scores),
        )
        return {name: row[name] for name in _PLAIN} | {
            "profile_name": known.name if known else None,
            "reasons": _reasons(row["reasons"]),
            "features": _named(known.values if known else (), features),
            "scores": named,
            "degraded": [name for name, score in named.items() if score is None],
            "steps": [dict(zip(STEP.names or (), step, strict=True)) for step in steps.tolist()],
            "body_hash": row["body_hash"].hex(),
        }


def _brief() -> Select[Any]:
    return select(*(transactions.c[name] for name in _BRIEF))


def _in_brief(row: RowMapping) -> dict[str, Any]:
    return dict(row) | {"reasons": _reasons(row["reasons"])}


def _floats(packed: bytes) -> list[float | None]:
    """Packed f8 as JSON can carry them: NaN and infinities are None."""
    values = np.frombuffer(packed, "<f8")
    if np.isfinite(values).all():
        return list(values.tolist())
    return [
        value if finite else None
        for value, finite in zip(values.tolist(), np.isfinite(values), strict=True)
    ]


def _named(known: Sequence[str], values: list[float | None]) -> dict[str, float | None]:
    """By name; by number when the names do not fit."""
    fitting = known if len(known) == len(values) else [str(i) for i in range(len(values))]
    return dict(zip(fitting, values, strict=True))


def _scores(detectors: Sequence[str], values: list[float | None]) -> dict[str, float | None]:
    """Each detector's, and `shadow` where one scored too; rows of older versions have no place for
    it.
    """
    if len(values) != len(detectors) + 1:
        return _named(detectors, values)
    return _named(detectors, values[:-1]) | ({} if values[-1] is None else {SHADOW: values[-1]})


def _reasons(stored: str | None) -> list[Any]:
    return list(json.loads(stored)) if stored else []
