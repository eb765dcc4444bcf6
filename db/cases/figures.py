"""What reviewers have done: how much, how well, how fast."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Row, Select, select

from db.cases.reading import CaseReader
from db.cases.tables import reviews, verdicts
from db.tables import transactions
from tidegate.profile.spec import DAY

Key = TypeVar("Key", bound=Hashable)


class Review(NamedTuple):
    """One verdict of the page: `other` is what the newest verdict on the same transaction by
    another label says, None without one; `flagged` whether it was sent to review or blocked, None
    where its row is gone.
    """

    source: str
    given_us: int
    took_us: int
    fraud: bool
    other: bool | None
    flagged: bool | None


class Figures(NamedTuple):
    """Of several reviews. `agreed` of the `compared` ones, on which there is another verdict, say
    the same as that; `frauds` of the `flagged` ones are frauds.
    """

    decided: int
    compared: int
    agreed: int
    flagged: int
    frauds: int
    seconds: float

    @property
    def agreement(self) -> float | None:
        """Share; None where nothing was compared."""
        return self.agreed / self.compared if self.compared else None

    @property
    def precision(self) -> float | None:
        """Share of frauds among what was flagged; None without any."""
        return self.frauds / self.flagged if self.flagged else None


def read_reviews(reader: CaseReader, since_us: int) -> list[Review]:
    """All that were given since then, oldest first. Raises Retry."""
    mine = reader.rows(
        select(reviews, transactions.c.decision)
        .outerjoin(transactions, transactions.c.transaction_id == reviews.c.transaction_id)
        .where(reviews.c.given_us >= since_us)
        .order_by(reviews.c.given_us)
    )
    said = _verdicts(reader.rows(_on_the_same(since_us)))
    return [
        Review(
            row.source,
            row.given_us,
            row.given_us - row.claimed_us,
            row.fraud,
            _other(said[row.transaction_id], row.label_id),
            None if row.decision is None else row.decision != "approve",
        )
        for row in mine
    ]


def _on_the_same(since_us: int) -> Select[Any]:
    recent = select(reviews.c.transaction_id).where(reviews.c.given_us >= since_us)
    return (
        select(verdicts)
        .where(verdicts.c.transaction_id.in_(recent), verdicts.c.weight > 0)
        .order_by(verdicts.c.given_us, verdicts.c.label_offset)
    )


def _verdicts(rows: Sequence[Row[Any]]) -> defaultdict[str, list[tuple[str, bool]]]:
    said: defaultdict[str, list[tuple[str, bool]]] = defaultdict(list)
    for row in rows:
        said[row.transaction_id].append((row.label_id, row.fraud))
    return said


def _other(said: Iterable[tuple[str, bool]], label_id: str) -> bool | None:
    others = [fraud for label, fraud in said if label != label_id]
    return others[-1] if others else None


def figures_of(found: Sequence[Review]) -> Figures:
    """Of all these, at least one."""
    compared = [each for each in found if each.other is not None]
    flagged = [each for each in found if each.flagged]
    return Figures(
        len(found),
        len(compared),
        sum(each.other == each.fraud for each in compared),
        len(flagged),
        sum(each.fraud for each in flagged),
        median(each.took_us for each in found) / 1e6,
    )


def by(found: Sequence[Review], key: Callable[[Review], Key]) -> dict[Key, Figures]:
    """Figures of the reviews of each person, or of each day."""
    groups: defaultdict[Key, list[Review]] = defaultdict(list)
    for each in found:
        groups[key(each)].append(each)
    return {name: figures_of(group) for name, group in groups.items()}


def day_of(review: Review) -> int:
    """The beginning of its day, UTC, in us."""
    return review.given_us // DAY * DAY
