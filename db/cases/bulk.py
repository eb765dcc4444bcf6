"""One thing done to all cases of a filter, if they are as many as whoever does it was told."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Row, func, select, update

from db.cases.desk import Desk, Person, give, tell
from db.cases.filters import Filters, order
from db.cases.locking import lock
from db.cases.remarks import tag_cases
from db.cases.tables import cases

STATES = ("queue", "snoozed")
"""Those of `db.cases.filters.STATES` whose cases are nobody's."""
MOST = 500
"""So many cases at once."""
What = Literal["fraud", "legitimate", "assign", "tag", "snooze"]
WHAT: tuple[What, ...] = ("fraud", "legitimate", "assign", "tag", "snooze")


class Order(NamedTuple):
    """What is to be done: `to` is the assignee or the tag, `until_us` the end of a snooze."""

    what: What
    to: str = ""
    until_us: int = 0


def matching(connection: Connection, filters: Filters, person: Person, now_us: int) -> int:
    """How many cases a filter has now, of those that this browser may work on."""
    query = select(func.count()).select_from(cases)
    return connection.scalar(query.where(*filters.conditions(now_us, person.claim))) or 0


def do_all(
    desk: Desk, order_: Order, filters: Filters, expected: int, person: Person, now_us: int
) -> int | None:
    """Do it to the `expected` cases of a filter that are open, and tell the audit of each number.

    None, and nothing is done, where they are not as many any more, or more than `MOST`, or where
    the filter asks for cases that are not to be had. Raises Retry.
    """
    if filters.state not in STATES:
        return None
    with desk.writing() as connection:
        lock(connection)  # many rows at once: nobody else takes them in another order
        rows = _rows(connection, filters, person, now_us)
        if len(rows) != expected or not 0 < expected <= MOST:
            return None
        _do(connection, order_, rows, person, now_us)
        detail = {"cases": expected, "to": order_.to, "filter": filters._asdict()}
        tell(connection, person, f"cases in bulk: {order_.what}", f"{expected} cases", detail)
        return expected


def _rows(connection: Connection, filters: Filters, person: Person, now_us: int) -> list[Row[Any]]:
    query = select(cases).where(*filters.conditions(now_us, person.claim)).order_by(*order())
    if connection.dialect.name == "postgresql":
        query = query.with_for_update()
    return list(connection.execute(query.limit(MOST + 1)))


def _do(
    connection: Connection, order_: Order, rows: list[Row[Any]], person: Person, now_us: int
) -> None:
    ids = [row.transaction_id for row in rows]
    mine = cases.c.transaction_id.in_(ids)
    if order_.what == "tag":
        tag_cases(connection, ids, order_.to)
    elif order_.what == "assign":
        connection.execute(update(cases).where(mine).values(assignee=order_.to or None))
    elif order_.what == "snooze":
        let_go = {"snoozed_until_us": order_.until_us, "claim": None, "claimed_until_us": 0}
        connection.execute(update(cases).where(mine).values(let_go))
    else:
        for row in rows:
            give(connection, row, fraud=order_.what == "fraud", person=person, now_us=now_us)
