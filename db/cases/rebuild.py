"""Making cases and verdicts again, from the rows and from the topic of labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Select, delete, exists, func, null, select, update

from db.cases.locking import lock
from db.cases.opening import apply_verdicts, in_sample, insert_cases, open_sampled
from db.cases.outbox import UNDER_WAY
from db.cases.sample import first_day, trim_sample
from db.cases.sink import Erased
from db.cases.tables import cases, reviews, verdicts
from db.cases.verdicts import insert_verdicts
from db.engine import open_database, retrying
from db.tables import offsets, transactions
from tidegate.messages.documents import Label
from tidegate.pipeline import LABELS

_ROWS = 20_000


class Rebuilt(NamedTuple):
    """How many there are now."""

    cases: int
    open: int
    verdicts: int


def rebuild(
    url: str,
    labels: Iterable[list[tuple[int, Label]]],
    erased: Erased,
    *,
    share: float,
    most: int,
    now_us: int,
) -> Rebuilt:
    """Make the verdicts of all `labels` (offset and label, in order) anew, and the cases of all
    rows; what people have said of cases stays. One transaction, in which nobody else writes.

    Labels at or behind the place where stage `cases` goes on are left to it. Raises Retry.
    """
    database = open_database(url)
    try:
        with retrying(database), database.engine.begin() as connection:
            lock(connection)
            _verdicts(connection, labels, erased)
            _cases(connection, share, most, now_us)
            return _count(connection)
    finally:
        database.close()


def _verdicts(
    connection: Connection, labels: Iterable[list[tuple[int, Label]]], erased: Erased
) -> None:
    query = select(func.max(offsets.c.next_offset)).where(offsets.c.topic == LABELS)
    stop = connection.scalar(query) or 0
    connection.execute(delete(verdicts))
    for some in labels:
        gone = set(erased([label.transaction_id for _, label in some]))
        insert_verdicts(
            connection,
            [
                (offset, label)
                for offset, label in some
                if offset < stop and label.transaction_id not in gone
            ],
        )


def _cases(connection: Connection, share: float, most: int, now_us: int) -> None:
    rows = select(transactions.c.transaction_id)
    row = exists().where(transactions.c.transaction_id == cases.c.transaction_id)
    connection.execute(delete(cases).where(~row))
    insert_cases(connection, transactions.c.decision != "approve", null())
    approved = rows.where(transactions.c.decision == "approve")
    found: dict[str, float] = {}
    for ids in _in_parts(connection, approved):
        found |= in_sample([name.encode() for name in ids], share)
    open_sampled(connection, found)
    # before verdicts hold: else each of the share that has one would stay
    if (oldest := first_day(connection)) is not None:
        trim_sample(connection, most, now_us, oldest)
    unknown = {"fraud": None, "decided_us": None, "decided_by": None}
    connection.execute(update(cases).values(unknown | {"open": True}))
    said = connection.scalars(select(verdicts.c.transaction_id).distinct()).all()
    apply_verdicts(connection, said)
    given = exists().where(
        reviews.c.transaction_id == cases.c.transaction_id,
        reviews.c.state.in_(UNDER_WAY),
        reviews.c.given_us > cases.c.reopened_us,
    )
    connection.execute(update(cases).where(given).values({"open": False}))


def _in_parts(connection: Connection, query: Select[str]) -> Iterator[Sequence[str]]:
    read = connection.execute(query.execution_options(yield_per=_ROWS))
    return read.scalars().partitions(_ROWS)


def _count(connection: Connection) -> Rebuilt:
    count = select(func.count())
    return Rebuilt(
        connection.scalar(count.select_from(cases)) or 0,
        connection.scalar(count.select_from(cases).where(cases.c.open)) or 0,
        connection.scalar(count.select_from(verdicts)) or 0,
    )
