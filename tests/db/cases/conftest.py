"""A bench on each of the two databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.db.cases.desks import SCORES, Bench


@pytest.fixture
def bench(url: str) -> Iterator[Bench]:
    made = Bench(url)
    yield made
    made.close()


@pytest.fixture
def sampling(url: str) -> Iterator[Bench]:
    """Half of what is approved is in the sample, three a day at most."""
    made = Bench(url, share=0.5, daily=3)
    yield made
    made.close()


@pytest.fixture
def three(bench: Bench) -> Bench:
    """With a flagged row of each of `SCORES`."""
    for name, score in SCORES.items():
        bench.rows(name, score=score)
    return bench
