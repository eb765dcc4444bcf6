"""Which cases somebody wants to see: the filters of the page for review, as conditions."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, UnaryExpression, and_, false, or_, select

from db.cases.tables import case_tags, cases

State = Literal["queue", "snoozed", "claimed", "decided"]
KINDS = ("review", "block", "sample")
STATES: tuple[State, ...] = ("queue", "snoozed", "claimed", "decided")
NOBODY = "-"
"""As an assignee: none."""


class Filters(NamedTuple):
    """What is empty, or None, is not asked for. Amounts in minor units, inclusive."""

    state: State = "queue"
    kind: str = ""
    """One of `KINDS`."""
    tag: str = ""
    assignee: str = ""
    least: int | None = None
    most: int | None = None

    def conditions(self, now_us: int, claim: str) -> list[ColumnElement[bool]]:
        """`claim` is the browser's that asks: what it has claimed is in its queue."""
        table = cases.c
        wanted = [_state(self.state, now_us, claim)]
        if self.kind:
            wanted.append(table.decision == ("approve" if self.kind == "sample" else self.kind))
        if self.tag:
            tagged = select(case_tags.c.transaction_id).where(case_tags.c.tag == self.tag)
            wanted.append(table.transaction_id.in_(tagged))
        if self.assignee:
            nobody = self.assignee == NOBODY
            wanted.append(table.assignee.is_(None) if nobody else table.assignee == self.assignee)
        if self.least is not None:
            wanted.append(table.amount_minor >= self.least)
        if self.most is not None:
            wanted.append(table.amount_minor <= self.most)
        return wanted


def _state(state: State, now_us: int, claim: str) -> ColumnElement[bool]:
    table = cases.c
    awake = table.snoozed_until_us <= now_us
    if state == "queue":
        return and_(table.open, awake, free(now_us, claim))
    if state == "snoozed":
        return and_(table.open, table.snoozed_until_us > now_us)
    if state == "claimed":
        return and_(table.open, awake, table.claimed_until_us > now_us)
    return ~table.open


def free(now_us: int, claim: str) -> ColumnElement[bool]:
    """Whether a case is nobody's, or this browser's."""
    return or_(cases.c.claimed_until_us <= now_us, cases.c.claim == claim if claim else false())


class Place(NamedTuple):
    """Where a case stands in the order of the queue."""

    risk: float
    ingested_us: int
    transaction_id: str


PLACE = (cases.c.risk, cases.c.ingested_us, cases.c.transaction_id)


def order(*, back: bool = False) -> tuple[UnaryExpression[Any], ...]:
    """By risk times money, then the oldest first; or that backwards."""
    risk, came_in, name = PLACE
    return (
        (risk.asc(), came_in.desc(), name.desc())
        if back
        else (
            risk.desc(),
            came_in.asc(),
            name.asc(),
        )
    )


def beyond(place: Place, *, back: bool) -> ColumnElement[bool]:
    """Behind a place, or before it."""
    risk, came_in, name = PLACE
    if back:
        later = or_(came_in < place[1], and_(came_in == place[1], name < place[2]))
        return and_(risk >= place[0], or_(risk > place[0], later))
    later = or_(came_in > place[1], and_(came_in == place[1], name > place[2]))
    return and_(risk <= place[0], or_(risk < place[0], later))
