"""Rows of the database as results show them, with the words for their risk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from model.bundles.past_policies import Policies
from model.ensemble.thresholds import Rule
from tidegate.errors import ConfigError, Retry


class Decided(msgspec.Struct, frozen=True):
    """A row of the database, as far as the results show it."""

    decision: str
    score: float
    reasons: tuple[str, ...]
    risk_level: str
    ingested_us: int


class RiskLevels:
    """The words for a decision: `critical` is blocked, `high` is reviewed; what passes is `medium`
    from half the score on that would have been reviewed, else `low`.
    """

    def __init__(self, bundles: Path, policies: Policies) -> None:
        self._bundles, self._policies = bundles, policies
        self._rules: dict[tuple[str, str], Rule | None] = {}

    def of(
        self, decision: str, score: float, amount_minor: int, bundle: str, policy: str = ""
    ) -> str:
        """The level of a row that `bundle` and, where one was in force, `policy` decided."""
        if decision != "approve":
            return "critical" if decision == "block" else "high"
        known = bundle, policy
        if known not in self._rules:
            self._rules[known] = self._read(bundle, policy)
        limits = self._rules[known]
        if limits is None:
            return "low"
        review, _ = limits.at(np.array([amount_minor], np.int64))
        return "medium" if score >= review[0] / 2 else "low"

    def _read(self, bundle: str, policy: str) -> Rule | None:
        """None where one is gone, or the topic of the policies away."""
        try:
            return self._policies.decided_by(policy, self._bundles, bundle)
        except (ConfigError, Retry):
            return None


def decided(rows: Mapping[str, Mapping[str, Any]], levels: RiskLevels) -> dict[str, Decided]:
    """Rows as `db.store.Store.brief` gives them."""
    return {
        name: Decided(
            row["decision"],
            row["score"],
            tuple(reason.get("rule") or reason["feature"] for reason in row["reasons"]),
            levels.of(
                row["decision"],
                row["score"],
                row["amount_minor"],
                row["bundle"],
                row["policy"] or "",
            ),
            row["ingested_us"],
        )
        for name, row in rows.items()
    }
