"""A group that loses its offsets reads its input from the start, and nothing counts twice."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.faults.injected.bench import Bench
from tests.faults.injected.test_pipeline import Step, check
from tidegate.pipeline import ALERTS, group_of

pytestmark = pytest.mark.training

FIRST = [Step(number, user=number % 3, merchant=number % 2) for number in range(12)]
LATER = [Step(number, user=number % 3, merchant=number % 2) for number in range(12, 18)]


def outcome(lost: str) -> tuple[dict[str, bytes], int]:
    """The features of all rows, and the alerts, when this stage loses its offsets in between."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            for step in FIRST:
                step.post(bench)
            bench.run()
            if lost:
                bench.kill(lost)
                bench.broker.groups[group_of(lost)].positions.clear()
                bench.run()
            for step in LATER:
                step.post(bench)
            bench.run()
            check(bench, [*FIRST, *LATER])
            features = {row.transaction_id: row.features for row in bench.rows()}
            return features, len(bench.broker.committed_records(ALERTS))
        finally:
            bench.close()


@pytest.mark.parametrize("lost", ["preprocess", "preprocess-2"])
def test_features_and_alerts_are_as_if_nothing_had_been_lost(lost: str) -> None:
    assert outcome(lost) == outcome("")


def test_a_scorer_without_offsets_changes_no_row() -> None:
    assert outcome("score")[0] == outcome("")[0]
