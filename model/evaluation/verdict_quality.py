"""How good decisions were; a row without a verdict is neither fraud nor legitimate.

Verdicts come for what was sent to review and for what customers complain of, so those alone say
nothing of the frauds that nobody noticed. A small share of the approved rows, chosen by a hash of
the id, is reviewed whatever the score: from it the missed frauds are estimated, and so recall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.sampling import draws
from tidegate.profile.spec import DAY

UNKNOWN, LEGITIMATE, FRAUD = -1, 0, 1
AGES = (0, 1, 7, 30)
"""Days at which the lines of a table by maturity begin."""
_DRAWS = 20_000
_TAILS = (0.025, 0.975)

Flags = NDArray[np.bool_]


class Decided(NamedTuple):
    """Decided rows: age in days f8[n], whether flagged, whether in the sample, verdict i1[n];
    `weights` f8[n]: how many rows one of the sample stands for, beside those of other days.
    """

    days: NDArray[np.float64]
    flagged: Flags
    sampled: Flags
    verdict: NDArray[np.int8]
    weights: NDArray[np.float64]


def decided_rows(
    ids: Sequence[str],
    times: NDArray[np.int64],
    flagged: Flags,
    verdicts: Mapping[str, bool],
    sample: Sample,
) -> Decided:
    """Rows with event times i8[n] us and the verdicts on some of them (True: fraud), their age
    counted from the newest.
    """
    verdict = np.fromiter((int(verdicts.get(name, UNKNOWN)) for name in ids), np.int8, len(ids))
    days = (times.max(initial=0) - times) / DAY
    return Decided(days, flagged, sample.chosen, verdict, sample.weights)


def in_sample(ids: Sequence[str], share: float) -> Flags:
    """Whether each transaction is in the sample of this share; a larger one contains a smaller."""
    return draws([name.encode() for name in ids]) <= share


class Sample(NamedTuple):
    """Which rows are reviewed whatever their score, and how many each of these stands for."""

    chosen: Flags
    weights: NDArray[np.float64]


def daily_sample(
    ids: Sequence[str], came_in: NDArray[np.int64], flagged: Flags, share: float, most: int
) -> Sample:
    """That share of the approved rows, but of those that came in on one day (i8[n] us, UTC) only
    the `most` with the smallest draws: they have cases, and stand for the others of their day.
    """
    drawn = draws([name.encode() for name in ids])
    rows = np.flatnonzero((drawn <= share) & ~flagged)
    chosen, weights = np.zeros(len(ids), np.bool_), np.ones(len(ids))
    days = came_in[rows] // DAY
    for day in np.unique(days).tolist():
        of_day = rows[days == day]
        smallest = of_day[np.argsort(drawn[of_day], kind="stable")[:most]]
        chosen[smallest] = True
        weights[smallest] = len(of_day) / max(1, len(smallest))
    return Sample(chosen, weights)


class Line(NamedTuple):
    """Rows of one age; precision among the flagged ones with a verdict, None without any."""

    from_days: int
    rows: int
    verdicts: int
    frauds: int
    flagged: int
    flagged_verdicts: int
    flagged_frauds: int
    precision: float | None


class Recall(NamedTuple):
    """Share of the frauds that were flagged, its 95% interval, and the sample that it rests on."""

    estimate: float
    low: float
    high: float
    sampled: int
    reviewed: int


class _Stratum(NamedTuple):
    """Rows of which some have a verdict, and some of those are frauds."""

    rows: float
    verdicts: float
    frauds: float

    def expected(self) -> float:
        """Frauds, when those without a verdict are like those with one."""
        return self.frauds + (self.rows - self.verdicts) * self.frauds / max(self.verdicts, 1)

    def draws(self, chance: np.random.Generator) -> NDArray[np.float64]:
        """What their number could be as well, by Jeffreys' posterior of the rate."""
        rate = chance.beta(self.frauds + 0.5, self.verdicts - self.frauds + 0.5, _DRAWS)
        return self.frauds + (self.rows - self.verdicts) * rate


def by_age(decided: Decided) -> list[Line]:
    """One line for each age in `AGES`, without those that have no rows."""
    group = np.searchsorted(AGES, decided.days, side="right") - 1
    lines = [_line(days, decided, group == index) for index, days in enumerate(AGES)]
    return [line for line in lines if line.rows]


def _line(days: int, decided: Decided, rows: Flags) -> Line:
    every = _stratum(decided, rows)
    flagged = _stratum(decided, rows & decided.flagged)
    precision = flagged.frauds / flagged.verdicts if flagged.verdicts else None
    return Line(
        days,
        int(every.rows),
        int(every.verdicts),
        int(every.frauds),
        int(flagged.rows),
        int(flagged.verdicts),
        int(flagged.frauds),
        precision,
    )


def recall(decided: Decided) -> Recall | None:
    """Recall by stratified sampling: flagged rows, and approved ones with the sample reviewed.

    A row without a verdict counts as its stratum's rows with one do, so a sample is only as good as
    the share of it that is reviewed. None when a stratum that has rows has no verdict, or no fraud
    is known. The interval is by Jeffreys' posterior of each stratum's rate (Brown, Cai, DasGupta:
    Interval Estimation for a Binomial Proportion, 2001), drawn with a fixed seed; it reaches 1 when
    the sample holds no fraud. Where a day's sample is bounded its rows weigh more, and the rate is
    that of as many rows as tell as much (Kish: Survey Sampling, 1965).
    """
    flagged = _stratum(decided, decided.flagged)
    among = ~decided.flagged & decided.sampled
    approved = _weighed(decided, among, int((~decided.flagged).sum()))
    without_verdict = any(stratum.rows and not stratum.verdicts for stratum in (flagged, approved))
    if without_verdict or not flagged.frauds + approved.frauds:
        return None
    chance = np.random.default_rng(0)
    caught, missed = flagged.draws(chance), approved.draws(chance)
    low, high = np.quantile(caught / (caught + missed), _TAILS)
    estimate = flagged.expected() / (flagged.expected() + approved.expected())
    return Recall(
        estimate,
        float(low) if flagged.frauds else 0.0,
        float(high) if approved.frauds else 1.0,
        int(among.sum()),
        int((among & (decided.verdict != UNKNOWN)).sum()),
    )


def _weighed(decided: Decided, among: Flags, rows: int) -> _Stratum:
    """These sampled rows as a simple sample of so many rows that tells as much."""
    reviewed = among & (decided.verdict != UNKNOWN)
    weights = decided.weights[reviewed]
    if not len(weights):
        return _Stratum(rows, 0, 0)
    size = weights.sum() ** 2 / (weights**2).sum()
    frauds = weights[decided.verdict[reviewed] == FRAUD].sum() / weights.sum()
    return _Stratum(rows, float(size), float(size * frauds))


def _stratum(decided: Decided, rows: Flags) -> _Stratum:
    known = rows & (decided.verdict != UNKNOWN)
    frauds = rows & (decided.verdict == FRAUD)
    return _Stratum(int(rows.sum()), int(known.sum()), int(frauds.sum()))
