"""How a shadow's scores compare with the champion's on the same live rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidegate.profile.spec import DAY

Floats = NDArray[np.float64]
Decisions = NDArray[np.uint8]


class ComparedRows(NamedTuple):
    """Rows that both scored: event time i8[n] us, both scores f8[n], what each decides u1[n]
    (places in `tidegate.messages.frames.DECISIONS`), the verdict i1[n] (-1: none yet).
    """

    times: NDArray[np.int64]
    champion: Floats
    shadow: Floats
    decided: Decisions
    would_decide: Decisions
    labels: NDArray[np.int8]


class Capacity(NamedTuple):
    """What reviewing the highest scores of each day finds: reviewed rows, those of them with a
    verdict, the frauds among these, and the share of frauds.
    """

    reviewed: int
    verdicts: int
    frauds: int
    precision: float | None


class Comparison(NamedTuple):
    """Rows, the share that both decide alike (None without rows), and what a day's reviews would
    find with each.
    """

    rows: int
    agreement: float | None
    flagged_by_champion: int
    flagged_by_shadow: int
    flagged_by_both: int
    champion: Capacity
    shadow: Capacity


def compare(rows: ComparedRows, capacity: int) -> Comparison:
    """Compare by decisions and by `capacity` reviews a day."""
    by_champion = rows.decided > 0
    by_shadow = rows.would_decide > 0
    agree = rows.decided == rows.would_decide
    return Comparison(
        len(agree),
        float(agree.mean()) if len(agree) else None,
        int(by_champion.sum()),
        int(by_shadow.sum()),
        int((by_champion & by_shadow).sum()),
        reviews(rows.times, rows.labels, rows.champion, capacity),
        reviews(rows.times, rows.labels, rows.shadow, capacity),
    )


def reviews(
    times: NDArray[np.int64], labels: NDArray[np.int8], scores: Floats, capacity: int
) -> Capacity:
    """What the `capacity` highest scores of each day (UTC) would find; `times`, `labels` and
    `scores` as in `ComparedRows`.
    """
    days = times // DAY
    order = np.lexsort((-scores, days))
    begins = np.searchsorted(days[order], days[order], side="left")
    reviewed = order[np.arange(len(order)) - begins < capacity]
    verdicts = int((labels[reviewed] >= 0).sum())
    frauds = int((labels[reviewed] == 1).sum())
    return Capacity(len(reviewed), verdicts, frauds, frauds / verdicts if verdicts else None)
