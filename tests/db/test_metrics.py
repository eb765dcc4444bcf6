"""A histogram that takes arrays counts as one that takes numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from tidegate.metrics import BatchHistogram, observe_many

BOUNDS = (0.001, 0.5, 1, 10)


@given(st.lists(st.floats(-1, 20) | st.sampled_from(BOUNDS)))
def test_it_agrees_with_prometheus_client(values: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    batch = BatchHistogram("h", "told", BOUNDS, registry=ours)
    single = Histogram("h", "told", buckets=BOUNDS, registry=theirs)
    observe_many(batch, np.array(values[:3]))
    observe_many(batch, np.array(values[3:]))
    for value in values:
        single.observe(value)
    assert _lines(ours) == _lines(theirs)


def _lines(registry: CollectorRegistry) -> list[str]:
    return [
        line
        for line in generate_latest(registry).decode().splitlines()
        if not line.startswith(("h_sum", "h_created", "# HELP h_created", "# TYPE h_created"))
    ]
