"""Working on cases: one at a time, each before one person only.

A claim belongs to a browser, since several people may share a name, and ends by itself; working on
the case renews it. It is one conditional UPDATE, so of two who want a case one has it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    case,
    delete,
    insert,
    or_,
    select,
    update,
)

from db.audit import Act, append
from db.cases.filters import PLACE, Filters, Place, beyond, free, order
from db.cases.outbox import HELD, HOLD_US
from db.cases.tables import cases, reviews
from db.engine import make_durable, open_database, retrying

CLAIM_US = 600_000_000
_TRIES = 8


class Person(NamedTuple):
    """Who works: the name that verdicts and notes carry, and the claim of this browser.

    `audited`: whether the name is known, so that the audit is told.
    """

    name: str
    claim: str
    audited: bool


class Undone(NamedTuple):
    """Which transaction is open again. `told`: its verdict had left; only another corrects it."""

    transaction_id: str
    told: bool


class Desk:
    """The writing side, safe for many threads. Every method raises Retry."""

    def __init__(self, url: str) -> None:
        self._database = open_database(url)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One short transaction that no crash takes back."""
        with retrying(self._database), self._database.engine.begin() as connection:
            make_durable(connection)
            yield connection

    def claim(self, transaction_id: str, person: Person, now_us: int) -> bool:
        """Take this case, or keep it for longer; False where it is somebody else's, or not open."""
        with self.writing() as connection:
            if not _claim(connection, transaction_id, person, now_us):
                return False
            _let_go(connection, person, but=transaction_id)
            return True

    def claim_next(
        self, filters: Filters, person: Person, now_us: int, after: str = "", *, back: bool = False
    ) -> str | None:
        """Take the first free case behind the case `after` in the queue's order (`back`: before
        it), and let that one go; from the other end on where there is none. None: there is none.

        Without `after` it is the one that this browser has already, or the first of all.
        """
        with self.writing() as connection:
            place = _place(connection, after) if after else None
            conditions = filters._replace(state="queue").conditions(now_us, person.claim)
            query = (
                select(cases.c.transaction_id)
                .where(*conditions, cases.c.transaction_id != after)
                .order_by(*order(back=back))
            )
            first = query.where(cases.c.claim == person.claim)
            if place is not None:
                first = query.where(beyond(place, back=back))
            found = _take_first(connection, first, person, now_us)
            found = found or _take_first(connection, query, person, now_us)
            _let_go(connection, person, but=found or after)
            return found

    def decide(
        self, transaction_id: str, *, fraud: bool, person: Person, now_us: int
    ) -> str | None:
        """Give a verdict on a case that this browser has claimed, or that is free; its label id.

        None where somebody else has the case or has decided it.
        """
        with self.writing() as connection:
            row = _mine(connection, transaction_id, person, now_us)
            if row is None:
                return None
            label_id = give(connection, row, fraud=fraud, person=person, now_us=now_us)
            said = {"verdict": "fraud" if fraud else "legitimate", "label_id": label_id}
            tell(connection, person, "case decided", transaction_id, said)
            return label_id

    def undo(self, person: Person, now_us: int) -> Undone | None:
        """Take back the newest verdict of this browser, and claim its case again.

        None where there is none whose case this browser could have.
        """
        with self.writing() as connection:
            newest = (
                select(reviews)
                .join(cases, cases.c.transaction_id == reviews.c.transaction_id)
                .where(reviews.c.claim == person.claim, ~cases.c.open)
                .order_by(reviews.c.given_us.desc())
                .limit(1)
            )
            row = connection.execute(newest).one_or_none()
            if row is None:
                return None
            held = (reviews.c.label_id == row.label_id) & (reviews.c.state == HELD)
            taken_back = connection.execute(delete(reviews).where(held)).rowcount == 1
            _let_go(connection, person, but=row.transaction_id)
            values = {"open": True, "reopened_us": now_us} | _claimed(person, now_us)
            mine = cases.c.transaction_id == row.transaction_id
            connection.execute(update(cases).where(mine).values(values))
            what = "verdict taken back" if taken_back else "case opened again"
            tell(connection, person, what, row.transaction_id, {"label_id": row.label_id})
            return Undone(row.transaction_id, told=not taken_back)

    def snooze(self, transaction_id: str, until_us: int, person: Person, now_us: int) -> bool:
        """Put a case off until then, and let it go; False where somebody else has it."""
        with self.writing() as connection:
            if _mine(connection, transaction_id, person, now_us) is None:
                return False
            values = {"snoozed_until_us": until_us, "claimed_until_us": 0, "claim": None}
            mine = cases.c.transaction_id == transaction_id
            connection.execute(update(cases).where(mine).values(values))
            tell(connection, person, "case snoozed", transaction_id, {"until_us": until_us})
            return True

    def assign(self, transaction_id: str, assignee: str, person: Person) -> bool:
        """Say whose case it is ("": nobody's); False where there is none."""
        with self.writing() as connection:
            values = {"assignee": assignee or None}
            mine = cases.c.transaction_id == transaction_id
            done = connection.execute(update(cases).where(mine).values(values)).rowcount == 1
            if done:
                tell(connection, person, "case assigned", transaction_id, {"to": assignee})
            return done


def give(connection: Connection, row: Row[Any], *, fraud: bool, person: Person, now_us: int) -> str:
    """Keep a verdict on an open case, in the open transaction, and close it; the label id."""
    label_id = str(uuid.uuid4())
    connection.execute(
        insert(reviews).values(
            label_id=label_id,
            transaction_id=row.transaction_id,
            fraud=fraud,
            source=person.name,
            claim=person.claim,
            claimed_us=row.claimed_us if row.claim == person.claim else now_us,
            given_us=now_us,
            due_us=now_us + HOLD_US,
            state=HELD,
        )
    )
    mine = cases.c.transaction_id == row.transaction_id
    values = {"open": False, "claimed_until_us": 0, "claim": None}
    connection.execute(update(cases).where(mine).values(values))
    return label_id


def tell(
    connection: Connection, person: Person, what: str, about: str, detail: dict[str, Any]
) -> None:
    """Add to the audit, in the transaction that does it."""
    if person.audited:
        append(connection, Act(person.name, what, about, detail))


def _claimed(person: Person, now_us: int) -> dict[str, Any]:
    return {
        "claim": person.claim,
        "claimed_by": person.name,
        "claimed_us": now_us,
        "claimed_until_us": now_us + CLAIM_US,
    }


def _claim(connection: Connection, transaction_id: str, person: Person, now_us: int) -> bool:
    table = cases.c
    wanted = (table.transaction_id == transaction_id) & table.open & free(now_us, person.claim)
    new = or_(table.claim.is_(None), table.claim != person.claim, table.claimed_until_us <= now_us)
    values = _claimed(person, now_us)
    values["claimed_us"] = _since(new, now_us)
    return connection.execute(update(cases).where(wanted).values(values)).rowcount == 1


def _since(new: ColumnElement[bool], now_us: int) -> ColumnElement[int]:
    """When a claim began; one that is only renewed began before."""
    return case((new, now_us), else_=cases.c.claimed_us)


def _let_go(connection: Connection, person: Person, *, but: str) -> None:
    """A browser has one case at a time."""
    others = (cases.c.claim == person.claim) & (cases.c.transaction_id != but)
    connection.execute(update(cases).where(others).values({"claim": None, "claimed_until_us": 0}))


def _mine(
    connection: Connection, transaction_id: str, person: Person, now_us: int
) -> Row[Any] | None:
    """The open case, if this browser has it or may have it; it then has it."""
    if not _claim(connection, transaction_id, person, now_us):
        return None
    query = select(cases).where(cases.c.transaction_id == transaction_id)
    return connection.execute(query).one()


def _place(connection: Connection, transaction_id: str) -> Place | None:
    row = connection.execute(
        select(*PLACE).where(cases.c.transaction_id == transaction_id)
    ).one_or_none()
    return None if row is None else Place(*row)


def _take_first(
    connection: Connection, query: Select[str], person: Person, now_us: int
) -> str | None:
    """The first of these cases that nobody takes in the meantime."""
    for transaction_id in connection.scalars(query.limit(_TRIES)).all():
        if _claim(connection, transaction_id, person, now_us):
            return transaction_id
    return None
