"""A short run of `make chaos`, and bugs planted for the checker to catch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.harness import Run, report
from tests.chaos.planted import variables
from tests.chaos.schedule import Fault, draw
from tests.faults.kill9.cluster import Cluster

pytestmark = pytest.mark.serial

SEED = 20
OVERLAPPING = [Fault(0.5, "database", "away", 2.0), Fault(1.0, "database", "away", 1.0)]
"""The second waits for the first: they would lock each other out."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("chaos")
    cluster = Cluster(home, f"sqlite:///{home / 'tidegate.db'}")
    try:
        yield cluster.start()
    finally:
        cluster.close()


def test_nothing_breaks_it(cluster: Cluster) -> None:
    schedule = draw(SEED, 20, gap=2.0, longest=5.0)
    findings = Run(cluster, None, SEED, 22, 150, print)(schedule)
    assert not any(finding.bad for finding in findings), report(findings, SEED, schedule)
    assert all(next(iter(finding.figures.values())) > 0 for finding in findings[1:])


@pytest.mark.parametrize(
    ("bug", "stage", "faults", "checks"),
    [
        (
            "commit before write",
            "preprocess",
            [Fault(at, "kill", "preprocess", 0) for at in (0.5, 6.0)],
            {"rows"},
        ),
        ("no seek after abort", "preprocess", [], {"rows", "progress"}),  # it may be the last batch
        ("dedupe off", "preprocess", OVERLAPPING, {"features"}),
        ("watermark poisoned", "preprocess", [], {"features"}),
        ("breaker that eats", "preprocess", [Fault(0.5, "burst", "preprocess", 2)], {"rows"}),
    ],
)
def test_a_planted_bug_is_caught(
    cluster: Cluster, bug: str, stage: str, faults: list[Fault], checks: set[str]
) -> None:
    run = Run(cluster, None, SEED, 7, 100, print, prefix=f"{bug.split()[0]}-", judges=False)
    cluster.environment[stage] = variables(bug)
    cluster.kill(stage)
    try:
        findings = run(faults)
    finally:
        cluster.environment.pop(stage)
        cluster.kill(stage)
    caught = {finding.check for finding in findings if finding.bad}
    assert checks & caught, report(findings, SEED, faults)
