"""Reading cases for pages: one with all that was said of it, a list, and how many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, func, select

from db.cases.filters import KINDS, PLACE, STATES, Filters, Place, beyond, order
from db.cases.tables import case_notes, case_tags, cases, reviews, verdicts
from db.engine import open_database, parts, retrying

_MOST_NAMES = 200


class Case(NamedTuple):
    """A case's row of table `cases`, its tags, notes (oldest first), every verdict that is a label
    (oldest first), and the newest review of the page.
    """

    row: Row[Any]
    tags: Sequence[str]
    notes: Sequence[Row[Any]]
    verdicts: Sequence[Row[Any]]
    review: Row[Any] | None


class Counts(NamedTuple):
    """How many cases: by state, and those of the asked-for state by kind."""

    states: dict[str, int]
    kinds: dict[str, int]


class CaseReader:
    """Safe for many threads. Every method raises Retry. `seconds`: see `db.engine`."""

    def __init__(self, url: str, seconds: float = 0.0) -> None:
        self._database = open_database(url, "read", seconds)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def get(self, transaction_id: str) -> Case | None:
        """One case; None where there is none."""
        rows = self.rows(select(cases).where(cases.c.transaction_id == transaction_id))
        if not rows:
            return None
        notes = select(case_notes).where(case_notes.c.transaction_id == transaction_id)
        said = select(verdicts).where(verdicts.c.transaction_id == transaction_id)
        newest = select(reviews).where(reviews.c.transaction_id == transaction_id)
        review = self.rows(newest.order_by(reviews.c.given_us.desc()).limit(1))
        return Case(
            rows[0],
            self.tags([transaction_id]).get(transaction_id, []),
            self.rows(notes.order_by(case_notes.c.id)),
            self.rows(said.order_by(verdicts.c.given_us, verdicts.c.label_offset)),
            review[0] if review else None,
        )

    def page(
        self, filters: Filters, claim: str, now_us: int, after: Place | None, limit: int
    ) -> tuple[Sequence[Row[Any]], Place | None]:
        """Cases in the queue's order, those behind a place, and the place of the last one where
        there are more.
        """
        query = select(cases).where(*filters.conditions(now_us, claim))
        if after is not None:
            query = query.where(beyond(after, back=False))
        rows = self.rows(query.order_by(*order()).limit(limit + 1))
        page = rows[:limit]
        more = len(rows) > limit
        return page, Place(*(page[-1]._mapping[c] for c in PLACE)) if more else None

    def count(self, filters: Filters, claim: str, now_us: int) -> int:
        """How many cases a filter has."""
        query = select(func.count().label("cases")).select_from(cases)
        (row,) = self.rows(query.where(*filters.conditions(now_us, claim)))
        return int(row.cases)

    def counts(self, filters: Filters, claim: str, now_us: int) -> Counts:
        """For the numbers beside the filters; decided cases, which only grow, are not counted."""
        states: dict[str, int] = {
            state: self.count(filters._replace(state=state), claim, now_us)
            for state in STATES
            if state != "decided"
        }
        query = select(cases.c.decision, func.count().label("cases")).group_by(cases.c.decision)
        conditions = filters._replace(kind="").conditions(now_us, claim)
        found = {row.decision: row.cases for row in self.rows(query.where(*conditions))}
        kinds = {kind: found.get("approve" if kind == "sample" else kind, 0) for kind in KINDS}
        return Counts(states, kinds)

    def tags(self, ids: Iterable[str]) -> dict[str, list[str]]:
        """The tags of each of these cases that has any."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for some in parts(ids):
            query = select(case_tags).where(case_tags.c.transaction_id.in_(some))
            for row in self.rows(query.order_by(case_tags.c.tag)):
                found[row.transaction_id].append(row.tag)
        return dict(found)

    def known_tags(self) -> Sequence[str]:
        """Every tag there is, for a list to choose from."""
        query = select(case_tags.c.tag).distinct().order_by(case_tags.c.tag).limit(_MOST_NAMES)
        return [row.tag for row in self.rows(query)]

    def known_assignees(self) -> Sequence[str]:
        """Everybody whose case one is."""
        names = select(cases.c.assignee).where(cases.c.assignee.is_not(None), cases.c.open)
        query = names.distinct().order_by(cases.c.assignee).limit(_MOST_NAMES)
        return [row.assignee for row in self.rows(query)]

    def rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        """All rows of a query."""
        with retrying(self._database), self._database.engine.connect() as connection:
            return connection.execute(query).all()
