"""Rows decided without a failed or late detector, scored again: each gets a revision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from consumers.replay.logs import Logs, PastWeights
from db.revisions import DegradedRow, Revision
from model.bundles.bundle import Bundle
from tidegate.messages.frames import DECISIONS, Decision
from tidegate.profile import Profile


class Rescored(NamedTuple):
    """The revisions, and what detectors that fail again said, by name."""

    revisions: list[Revision]
    failures: dict[str, Exception]


def rescore(
    profile: Profile,
    rows: Sequence[DegradedRow],
    logs: Logs,
    bundles: Path,
    clock: Callable[[], int],
) -> Rescored:
    """Score the rows by their own bundle, with the online weights that scored them.

    A row whose detector fails again gets no revision. Raises ConfigError when a bundle or the
    labels' log is gone, Retry when the broker does not answer.
    """
    rescored = Rescored([], {})
    for name, of_bundle in groupby(sorted(rows, key=_model), key=lambda row: row.bundle):
        bundle = Bundle.load(bundles / name)
        past = PastWeights(profile, bundle, logs)
        for labels, of_weights in groupby(of_bundle, key=lambda row: row.online_labels):
            weighted = bundle.with_weights(past.at(labels))
            _score(weighted, list(of_weights), rescored, clock())
    return rescored


def _model(row: DegradedRow) -> tuple[str, int]:
    return row.bundle, row.online_labels


def _score(bundle: Bundle, rows: list[DegradedRow], rescored: Rescored, now_us: int) -> None:
    values = np.frombuffer(b"".join(row.features for row in rows), "<f8").reshape(len(rows), -1)
    scores = bundle.score(values)
    decisions = bundle.decide(scores.final, np.array([row.amount_minor for row in rows]))
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
