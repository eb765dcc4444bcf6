"""The rows that a backtest decides, as arrays, and their decisions counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.evaluation.decide_again import Cases, Decisions
from tidegate.messages.frames import DECISIONS
from tidegate.profile import Profile


class Judged(NamedTuple):
    """Decided rows: times i8[n] us, amounts i8[n] in minor units, verdicts i1[n], accounts."""

    times: NDArray[np.int64]
    amounts: NDArray[np.int64]
    labels: NDArray[np.int8]
    accounts: Sequence[str]
    units: float
    """Minor units in one unit; 0 where the profile has no money, or money in several currencies."""


def judged(profile: Profile, cases: Cases) -> Judged:
    """The rows of `cases` that are decided again."""
    added_up = profile.money_field and not profile.currency_field
    units = 10.0**profile.decimals if added_up else 0.0
    return Judged(
        cases.log.times[cases.rows],
        cases.amounts[cases.rows],
        cases.log.labels[cases.rows],
        cases.accounts[cases.rows],
        units,
    )


def decision_counts(decisions: Decisions) -> dict[str, int]:
    """How many rows have which decision."""
    counts = np.bincount(decisions, minlength=len(DECISIONS)).tolist()
    return dict(zip(DECISIONS, counts, strict=True))
