"""The check of counts and sums: a fold of its own, of what each entity has had before."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from tests.chaos.evidence import Evidence, Row
from tests.chaos.finding import Finding

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
AHEAD = 5 * MINUTE
"""`max_ahead` of the profile."""
WINDOWS = {
    "user_count_1h": (0, HOUR, 5 * MINUTE, False),
    "user_count_1d": (0, DAY, HOUR, False),
    "user_count_7d": (0, 7 * DAY, DAY, False),
    "user_sum_1h": (0, HOUR, 5 * MINUTE, True),
    "user_sum_1d": (0, DAY, HOUR, True),
    "merchant_count_1h": (1, HOUR, 5 * MINUTE, False),
}
"""Features by name: the keyed step, the window, its pane, and whether amounts are summed."""


def features(evidence: Evidence) -> Finding:
    """Counts and sums of the entity's own events before it in the log lie within [W, W + pane]."""
    bad: list[str] = []
    values = 0
    for step, entity in enumerate((_account, _merchant)):
        names = [name for name, window in WINDOWS.items() if window[0] == step]
        for group in _grouped(evidence.rows, entity):
            group.sort(key=lambda row: row.places[step])
            for name in names:
                bad += _outside(group, name)
                values += len(group)
    return Finding("features", {"rows": len(evidence.rows), "values": values}, bad)


def _account(row: Row) -> str:
    return row.transaction.account


def _merchant(row: Row) -> str:
    return row.transaction.merchant


def _grouped(found: Iterable[Row], entity: Callable[[Row], str]) -> Iterable[list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in found:
        groups[entity(row)].append(row)
    return groups.values()


def _outside(group: list[Row], name: str) -> Iterator[str]:
    """The values of one entity's rows, in the order of the log, that no window can give.

    What is older than the newest event so far by more than the window and the look-ahead may be
    gone from the rings, and need not count; the row itself always does.
    """
    _, window, pane, sums = WINDOWS[name]
    before = _Events()
    newest = 0
    for row in group:
        time, weight = row.transaction.time_us, row.transaction.cents if sums else 1
        newest = max(newest, time)
        least = max(time - window, newest - window - AHEAD - 1)
        low = weight + before.between(least, time)
        high = weight + before.between(time - window - pane, (time // pane + 1) * pane - 1)
        got = round(row.features[name] * (100 if sums else 1))
        if not low <= got <= high:
            yield f"{row.transaction.id}: {name} is {got}, not within [{low}, {high}]"
        before.add(time, weight)


class _Events:
    """Weights by time: sums over `first < time <= last`.

    Sorted, with the newest few beside, so that adding is cheap where most come in order.
    """

    def __init__(self) -> None:
        self._times: list[int] = []
        self._weights: list[int] = []
        self._sums: list[int] | None = None

    def add(self, time: int, weight: int) -> None:
        place = bisect_right(self._times, time)
        self._times.insert(place, time)
        self._weights.insert(place, weight)
        if self._sums is not None and place == len(self._sums) - 1:
            self._sums.append(self._sums[-1] + weight)
        else:
            self._sums = None

    def between(self, first: int, last: int) -> int:
        if self._sums is None:
            self._sums = [0, *accumulate(self._weights)]
        return (
            self._sums[max(bisect_right(self._times, last), bisect_right(self._times, first))]
            - self._sums[bisect_right(self._times, first)]
        )
