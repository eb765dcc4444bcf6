"""Rows decided without a failed or late detector, scored again: each gets a revision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from consumers.replay.logs import Logs, PastWeights
from db.revisions import DegradedRow, Revision
from model.bundles.bundle import Bundle, Scores
from model.bundles.past_policies import Policies
from model.policy.compiled import CompiledPolicy
from model.policy.facts import Rows
from tidegate.errors import ConfigError
from tidegate.messages.frames import DECISIONS, Decision
from tidegate.profile import Profile


class Rescored(NamedTuple):
    """The revisions, what detectors that fail again said, by name, and why rows were left out
    whose policy cannot decide any more, by its version.
    """

    revisions: list[Revision]
    failures: dict[str, Exception]
    undecided: dict[str, ConfigError]


def rescore(
    profile: Profile,
    rows: Sequence[DegradedRow],
    logs: Logs,
    bundles: Path,
    clock: Callable[[], int],
) -> Rescored:
    """Score the rows by their own bundle, with the online weights that scored them, and decide by
    the policy of their time.

    A row whose detector fails again gets no revision, and none whose policy is gone. Raises
    ConfigError when a bundle or the labels' log is gone, Retry when the broker does not answer.
    """
    rescored = Rescored([], {}, {})
    policies = Policies(logs.broker, profile)
    for name, of_bundle in groupby(sorted(rows, key=_model), key=lambda row: row.bundle):
        bundle = Bundle.load(bundles / name)
        past = PastWeights(profile, bundle, logs)
        for (labels, version), alike in groupby(of_bundle, key=_when):
            try:
                policy = policies.compiled(version)
            except ConfigError as error:
                rescored.undecided[version] = error
                continue
            weighted = bundle.with_weights(past.at(labels))
            if policy and policy.policy.thresholds:
                weighted = weighted.with_thresholds(policy.policy.thresholds)
            _score(weighted, policy, list(alike), rescored, clock())
    return rescored


def _model(row: DegradedRow) -> tuple[str, int, str]:
    return row.bundle, *_when(row)


def _when(row: DegradedRow) -> tuple[int, str]:
    return row.online_labels, row.policy or ""


def _score(
    bundle: Bundle,
    policy: CompiledPolicy | None,
    rows: list[DegradedRow],
    rescored: Rescored,
    now_us: int,
) -> None:
    values = np.frombuffer(b"".join(row.features for row in rows), "<f8").reshape(len(rows), -1)
    scores = bundle.score(values)
    decisions = bundle.decide(scores.final, np.array([row.amount_minor for row in rows]))
    if policy:
        decisions = policy.decide(_facts(rows, values, scores, decisions)).decision
    rescored.failures.update(scores.failures)
    rescored.revisions.extend(
        Revision(
            rows[i].transaction_id,
            now_us,
            float(scores.final[i]),
            cast("Decision", DECISIONS[decisions[i]]),
            scores.detectors[i].astype("<f8").tobytes(),
        )
        for i in np.flatnonzero(~np.isnan(scores.detectors).any(axis=1))
    )


def _facts(
    rows: list[DegradedRow],
    values: NDArray[np.float64],
    scores: Scores,
    by_model: NDArray[np.uint8],
) -> Rows:
    """What the policy looks at."""
    return Rows(
        values,
        np.frombuffer(b"".join(row.keys for row in rows), "<u8").reshape(len(rows), -1),
        scores.final,
        scores.detectors,
        by_model,
        np.array([row.ingested_us for row in rows]),
        [row.payload.encode() for row in rows],
    )
