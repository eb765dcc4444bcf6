"""What a search may ask for, as conditions on rows and as a sieve over search blocks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from db.blocks.packed import Rows, code, low_half
from db.cases.tables import verdicts
from db.tables import profiles, transactions
from tidegate.messages.frames import DECISIONS, Decision

VerdictFilter = Literal["fraud", "legitimate", "none"]


@dataclass(frozen=True, slots=True)
class Filters:
    """All that are given hold; texts as they are stored, amounts in minor units, times in us.

    Lower bounds are inclusive, as are the upper ones of score and amount; `until_us` is not. Times
    are event times. `second` is a value of the entity `second_entity`, which rows of profile
    versions with another one do not have. `reason` names a feature among a row's reasons.
    """

    transaction_id: str | None = None
    account: str | None = None
    second: str | None = None
    second_entity: str = ""
    decision: Decision | None = None
    min_score: float | None = None
    max_score: float | None = None
    min_amount: int | None = None
    max_amount: int | None = None
    since_us: int | None = None
    until_us: int | None = None
    bundle: str | None = None
    verdict: VerdictFilter | None = None
    reason: str | None = None

    def conditions(self, connection: Connection) -> list[ColumnElement[bool]]:
        """What a row has to be, exactly."""
        table = transactions.c
        given = (
            (table.transaction_id.__eq__, self.transaction_id),
            (table.account.__eq__, self.account),
            (table.decision.__eq__, self.decision),
            (table.score.__ge__, self.min_score),
            (table.score.__le__, self.max_score),
            (table.amount_minor.__ge__, self.min_amount),
            (table.amount_minor.__le__, self.max_amount),
            (table.event_us.__ge__, self.since_us),
            (table.event_us.__lt__, self.until_us),
            (table.bundle.__eq__, self.bundle),
        )
        wanted = [condition(value) for condition, value in given if value is not None]
        if self.verdict is not None:
            wanted.append(_has_verdict(self.verdict))
        if self.reason is not None:
            wanted.append(_has_reason(self.reason))
        if self.second is not None:
            wanted += _has_second(connection, self.second_entity, self.second)
        return wanted

    def sieve(self, rows: Rows) -> NDArray[np.bool_]:
        """Which rows of a block may be meant; all that are, and hardly any other."""
        keep = np.ones(len(rows), np.bool_)
        for name, compare, value in self._sieves():
            keep &= compare(rows[name], value)
        return keep

    def _sieves(self) -> Iterator[tuple[str, Callable[..., NDArray[np.bool_]], Any]]:
        """Columns of blocks, and what they are to be."""
        bounds = (
            ("score", np.greater_equal, rounded(self.min_score)),
            ("score", np.less_equal, rounded(self.max_score)),
            ("amount_minor", np.greater_equal, self.min_amount),
            ("amount_minor", np.less_equal, self.max_amount),
            ("event_us", np.greater_equal, self.since_us),
            ("event_us", np.less, self.until_us),
        )
        yield from (bound for bound in bounds if bound[2] is not None)
        if self.decision is not None:
            yield "decision", np.equal, DECISIONS.index(self.decision)
        if self.reason is not None:
            yield "decision", np.not_equal, DECISIONS.index("approve")
        if self.bundle is not None:
            yield "bundle", np.equal, np.uint32(code(self.bundle))
        if self.second is not None:
            yield "second", np.equal, low_half(_hash(self.second))[0]


def rounded(score: float | None) -> np.float32 | None:
    """A score as blocks keep it."""
    with np.errstate(over="ignore"):
        return None if score is None else np.float32(score)


def holding(*among: ColumnElement[bool]) -> Select[str, bool]:
    """Of each transaction with verdicts that count, the one that holds: its id, and `fraud`;
    `among` narrows the verdicts by their transaction.
    """
    table = verdicts.c
    newest_first = func.row_number().over(
        partition_by=table.transaction_id,
        order_by=(table.given_us.desc(), table.label_offset.desc()),
    )
    ranked = (
        select(table.transaction_id, table.fraud, newest_first.label("place"))
        .where(table.weight > 0, *among)
        .subquery()
    )
    return select(ranked.c.transaction_id, ranked.c.fraud).where(ranked.c.place == 1)


def _has_verdict(wanted: VerdictFilter) -> ColumnElement[bool]:
    """Through the index on transaction_id: for a few rows each."""
    table = verdicts.c
    of_row = and_(table.transaction_id == transactions.c.transaction_id, table.weight > 0)
    held = (
        select(table.fraud)
        .where(of_row)
        .order_by(table.given_us.desc(), table.label_offset.desc())
        .limit(1)
        .correlate(transactions)
        .scalar_subquery()
    )
    return held.is_(None) if wanted == "none" else held.is_(wanted == "fraud")


def _has_reason(feature: str) -> ColumnElement[bool]:
    """The stored JSON is compact."""
    return transactions.c.reasons.contains(f'"feature":"{feature}"', autoescape=True)


def _has_second(connection: Connection, entity: str, value: str) -> list[ColumnElement[bool]]:
    """The hash of the second entity is the second of the row's `keys`."""
    known = connection.execute(select(profiles.c.hash, profiles.c.entities))
    versions = [row.hash for row in known if json.loads(row.entities)[1:2] == [entity]]
    hashed = func.substr(transactions.c["keys"], 9, 8) == _hash(value).tobytes()
    return [hashed, transactions.c.profile.in_(versions)]


def _hash(value: str) -> NDArray[np.uint64]:
    from model.hashing import hash64  # the API searches nothing, and starts without numba

    return hash64([value.encode()])
