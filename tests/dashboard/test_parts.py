"""What the pages show, without a browser: counters, bars, times."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard import format as present
from dashboard.newest import KEPT, Live
from model.bundles.past_policies import Policies
from tests.faults.bundle import card_bundle
from tests.web import scored, transaction
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.pipeline import PROMOTIONS, SCORED
from tidegate.profile import load_profile


def batch(values: list[bytes | None]) -> Batch:
    count = len(values)
    return Batch(
        TopicPartition(SCORED, 0),
        list(range(count)),
        [None] * count,
        values,
        [0] * count,
        [None] * count,
    )


def test_counters_and_the_newest_rows() -> None:
    card, now = load_profile("card"), [1000.0]
    live = Live(card, clock=lambda: now[0])
    frames: list[bytes | None] = [
        scored(card, transaction(f"t{i}"), "block" if i == 3 else "approve")
        for i in range(KEPT + 20)
    ]
    live.absorb(batch([*frames, None, b"noise", frames[0][:-1] if frames[0] else None]))
    now[0] += 1
    counters = live.counters()
    assert counters["decisions"] == {"approve": KEPT + 19, "review": 0, "block": 1}
    assert counters["rates"][-1] == KEPT + 20
    assert counters["delay_p50_ms"] == pytest.approx(26)
    seen, rows = live.newer(0, None, 1000)
    assert seen == KEPT + 20
    assert [row["transaction_id"] for row in rows] == [
        "t3",
        *(f"t{i}" for i in range(20, KEPT + 20)),
    ]
    assert live.newer(seen, None, 10) == (seen, [])
    assert [row["transaction_id"] for row in live.newer(0, "block", 10)[1]] == ["t3"]
    live.absorb(batch([frames[0]]))
    assert [row["transaction_id"] for row in live.newer(seen, None, 10)[1]] == ["t0"]


def test_nothing_yet() -> None:
    live = Live(load_profile("vector"))
    live.absorb(batch([]))
    assert live.counters()["delay_p50_ms"] is None
    assert live.newer(0, None, 5) == (0, [])


def test_amounts_and_numbers() -> None:
    assert present.amount(load_profile("card"), 123_456_789, {}) == "1\u2009234\u2009567.89"
    assert present.amount(load_profile("vector"), 5, {}) in ("", "0.05")
    currencies = load_profile("card")
    currencies.currency_field = "currency"
    for payload in ({}, {"currency": "XAU"}, {"currency": None}):
        assert present.amount(currencies, 1_250, payload) == "12.50"
    assert present.amount(currencies, 1_250, {"currency": "JPY"}) == "1\u2009250\u00a0JPY"
    assert [present.number(value) for value in (None, float("nan"), 0.123456, 123456.0)] == [
        "\u2013",
        "\u2013",
        "0.1235",
        "123\u2009456",
    ]


def test_times() -> None:
    assert [present.duration(us) for us in (900, 12_340, 2_500_000, 600_000_000)] == [
        "900 µs",
        "12.3 ms",
        "2.50 s",
        "10 min",
    ]
    stages = present.timeline(
        [("ingest", 1_000_000), ("preprocess", 1_010_000), ("never", -1), ("persist", 1_040_000)]
    )
    assert [(one["name"], one["took"], one["left"], one["width"]) for one in stages] == [
        ("preprocess", "10.0 ms", 0, 25),
        ("persist", "30.0 ms", 25, 75),
    ]
    assert present.timeline([("ingest", 5)]) == []


def test_bars() -> None:
    found = present.bars([("a", 2.0), ("b", -1.0)])
    assert [(bar["share"], bar["positive"]) for bar in found] == [(100, True), (50, False)]
    assert present.bars([]) == []
    assert present.bars([("a", 0.0)])[0]["share"] == 0


@pytest.mark.training
def test_the_thresholds_are_those_of_the_rows_bundle(tmp_path: Path) -> None:
    folder, bundle = card_bundle()
    row = {"bundle": bundle.hash, "amount_minor": 1250, "policy": ""}
    policies = Policies(MemoryBroker({PROMOTIONS: 1}), load_profile("card"))
    assert present.limits(policies, folder, row) == (0.5, 0.9)
    assert present.limits(policies, tmp_path, row) is None
    assert present.limits(policies, folder, row | {"policy": "0123456789abcdef"}) is None
