"""What verdicts say of decisions: unknown is not legitimate, and a sample of the approved tells of
missed frauds.
"""

from __future__ import annotations

import numpy as np
import pytest

from model.evaluation.verdict_quality import (
    FRAUD,
    LEGITIMATE,
    UNKNOWN,
    Decided,
    Sample,
    by_age,
    daily_sample,
    decided_rows,
    in_sample,
    recall,
)
from model.sampling import draws

IDS = [f"t-{i}" for i in range(200_000)]


def decided(
    days: list[float], flagged: list[int], verdict: list[int], sampled: list[int] | None = None
) -> Decided:
    return Decided(
        np.array(days, np.float64),
        np.array(flagged, np.bool_),
        np.array(sampled if sampled else [0] * len(days), np.bool_),
        np.array(verdict, np.int8),
        np.ones(len(days)),
    )


def test_the_sample_has_its_share_and_grows_with_it() -> None:
    small, large = in_sample(IDS, 0.01), in_sample(IDS, 0.05)
    assert small.mean() == pytest.approx(0.01, abs=0.001)
    assert large.mean() == pytest.approx(0.05, abs=0.002)
    assert not (small & ~large).any()
    assert (in_sample(IDS[:50], 0.01) == small[:50]).all()
    assert not in_sample(IDS[:50], 0.0).any()
    assert in_sample(IDS[:50], 1.0).all()


def test_a_day_has_so_many_at_most_and_they_stand_for_the_others() -> None:
    day_us = 86_400_000_000
    came_in = np.repeat([0, day_us, 2 * day_us], [50_000, 2_000, 148_000])
    flagged = np.arange(200_000) % 100 == 0
    chosen, weights = daily_sample(IDS, came_in, flagged, 0.005, 20)
    days = came_in // day_us
    wanted = in_sample(IDS, 0.005) & ~flagged
    assert [int((chosen & (days == day)).sum()) for day in range(3)] == [
        20,
        int((wanted & (days == 1)).sum()),
        20,
    ]
    assert not (chosen & flagged).any()
    drawn = draws([name.encode() for name in IDS])
    assert drawn[chosen & (days == 0)].max() < drawn[wanted & ~chosen & (days == 0)].min()
    for day in range(3):
        of_day = chosen & (days == day)
        assert weights[of_day].sum() == pytest.approx((wanted & (days == day)).sum())


def test_a_bounded_sample_estimates_as_well() -> None:
    """A busy day with many frauds, and quiet ones with few: without weights, far too few."""
    day_us, chance, held, plain = 86_400_000_000, np.random.default_rng(7), 0, 0
    came_in = np.repeat(np.arange(11) * day_us, [50_000, *[1_000] * 10])
    rate = np.where(came_in == 0, 0.04, 0.005)
    for round_ in range(60):
        ids = [f"{round_}-{number}" for number in range(60_000)]
        fraud = chance.random(60_000) < rate
        flagged = fraud & (chance.random(60_000) < 0.5)
        chosen, weights = daily_sample(ids, came_in, flagged, 0.1, 400)
        verdict = np.where(chosen | flagged, fraud, UNKNOWN).astype(np.int8)
        rows = Decided(np.zeros(60_000), flagged, chosen, verdict, weights)
        truth = flagged.sum() / fraud.sum()
        for weighed, each in ((True, rows), (False, rows._replace(weights=np.ones(60_000)))):
            result = recall(each)
            assert result is not None
            held += weighed and result.low <= truth <= result.high
            plain += (not weighed) and result.low <= truth <= result.high
    assert held >= 54
    assert plain < 10


def test_a_row_without_a_verdict_is_not_legitimate() -> None:
    young, old = by_age(
        decided(
            [0.5, 0.5, 0.5, 9, 9, 9, 9],
            [1, 1, 0, 1, 1, 1, 0],
            [UNKNOWN, UNKNOWN, UNKNOWN, FRAUD, LEGITIMATE, UNKNOWN, FRAUD],
        )
    )
    assert young == (0, 3, 0, 0, 2, 0, 0, None)
    assert old == (7, 4, 3, 2, 3, 2, 1, 0.5)


def test_an_age_belongs_to_the_line_that_it_has_reached() -> None:
    lines = by_age(decided([0, 0.999, 1, 6.999, 7, 30, 400], [0] * 7, [UNKNOWN] * 7))
    assert [(line.from_days, line.rows) for line in lines] == [(0, 2), (1, 2), (7, 1), (30, 2)]


def test_what_the_sample_missed_stands_for_all_that_was_approved() -> None:
    flagged = [1] * 10 + [0] * 1000
    verdict = [FRAUD] * 8 + [LEGITIMATE] * 2 + [FRAUD] + [LEGITIMATE] * 99 + [UNKNOWN] * 900
    result = recall(decided([9] * 1010, flagged, verdict, sampled=[0] * 10 + [1] * 100 + [0] * 900))
    assert result is not None
    assert result.estimate == pytest.approx(8 / (8 + 1000 / 100))
    assert result.low < result.estimate < result.high
    assert (result.sampled, result.reviewed) == (100, 100)


def test_complaints_outside_the_sample_do_not_pose_as_it() -> None:
    verdict = [FRAUD] * 4 + [LEGITIMATE] * 100 + [FRAUD] * 50
    result = recall(
        decided([9] * 154, [1] * 4 + [0] * 150, verdict, sampled=[0] * 4 + [1] * 100 + [0] * 50)
    )
    assert result is not None
    assert (result.estimate, result.high) == (1.0, 1.0)


@pytest.mark.parametrize(
    "verdict", [[UNKNOWN, LEGITIMATE], [FRAUD, UNKNOWN], [LEGITIMATE, LEGITIMATE]]
)
def test_there_is_no_estimate_where_nothing_is_known(verdict: list[int]) -> None:
    assert recall(decided([9, 9], [1, 0], verdict, sampled=[0, 1])) is None


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    chance, held = np.random.default_rng(5), 0
    for _ in range(200):
        fraud = chance.random(40_000) < 0.02
        flagged = np.where(fraud, chance.random(40_000) < 0.7, chance.random(40_000) < 0.01)
        sampled = chance.random(40_000) < 0.05
        verdict = np.where(
            sampled | (flagged & (chance.random(40_000) < 0.9)), fraud, UNKNOWN
        ).astype(np.int8)
        result = recall(Decided(np.zeros(40_000), flagged, sampled, verdict, np.ones(40_000)))
        assert result is not None
        held += result.low <= (fraud & flagged).sum() / fraud.sum() <= result.high
    assert 182 <= held <= 199


def test_rows_get_the_verdicts_and_the_age_that_they_have() -> None:
    day_us = 86_400_000_000
    rows = decided_rows(
        ["a", "b", "c"],
        np.array([0, day_us, 3 * day_us]),
        np.array([True, False, False]),
        {"a": True, "c": False, "another": True},
        Sample(np.ones(3, np.bool_), np.ones(3)),
    )
    assert rows.days.tolist() == [3.0, 2.0, 0.0]
    assert rows.verdict.tolist() == [FRAUD, UNKNOWN, LEGITIMATE]
    assert rows.sampled.all()


def test_nothing_decided_gives_no_line_and_no_recall() -> None:
    times, flagged = np.zeros(0, np.int64), np.zeros(0, np.bool_)
    sample = daily_sample([], times, flagged, 0.1, 20)
    nothing = decided_rows([], times, flagged, {}, sample)
    assert by_age(nothing) == []
    assert recall(nothing) is None
