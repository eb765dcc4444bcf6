"""What people say of cases on its way: held, told, counted or missed, and nothing is lost."""

from __future__ import annotations

import pytest

from db.cases.outbox import HOLD_US
from db.cases.sink import CasesSink
from db.cases.tables import reviews
from tests.db.cases.desks import ANN, BOB, Bench, after
from tidegate.errors import Retry


def test_a_verdict_leaves_when_it_was_held_for_its_time(three: Bench) -> None:
    label_id = three.desk.decide("top", fraud=True, person=ANN, now_us=three.now)
    assert three.open() == ["low", "mid"]
    three.later(HOLD_US - 1)
    assert three.told() == []
    three.later(1_000_000)
    three.later(1_000_000)
    (verdict,) = three.told()
    assert (verdict.label_id, verdict.transaction_id) == (label_id, "top")
    assert (verdict.verdict, verdict.source, verdict.given_us) == ("fraud", "ann", 1_000_000_000)
    three.label("top", label_id=label_id or "", given_us=1_000_000_000, source="ann")
    assert [row.state for row in three.table(reviews)] == ["counted"]
    assert three.case("top").decided_by == "ann"


def test_a_stage_that_dies_on_the_way_tells_it_again_by_the_same_id(three: Bench) -> None:
    three.desk.decide("top", fraud=True, person=ANN, now_us=three.now)
    three.run("UPDATE reviews SET state = 'leaving'")  # it had died before Kafka answered, or after
    three.later(HOLD_US)
    assert len(three.told()) == 1
    assert three.desk.undo(ANN, three.now) == ("top", True), "it cannot be taken back any more"


def test_undo_takes_back_what_is_held(three: Bench) -> None:
    three.desk.decide("top", fraud=True, person=ANN, now_us=three.now)
    three.desk.decide("mid", fraud=False, person=ANN, now_us=three.now + 1)
    assert three.desk.undo(BOB, three.now) is None
    assert three.desk.undo(ANN, three.now + 2) == ("mid", False)
    assert three.case("mid").claim == ANN.claim
    assert three.desk.undo(ANN, three.now + 3) == ("top", False)
    assert three.desk.undo(ANN, three.now + 4) is None
    three.later(HOLD_US + 1_000_000)
    assert three.told() == []
    assert three.open() == ["low", "mid", "top"]


def test_after_that_it_opens_the_case_and_another_verdict_corrects(three: Bench) -> None:
    first = three.desk.decide("top", fraud=True, person=ANN, now_us=three.now)
    three.later(HOLD_US)
    assert three.desk.undo(ANN, three.now) == ("top", True)
    three.label("top", label_id=first or "", given_us=1_000_000_000)
    assert three.open() == ["low", "mid", "top"], "the label of what was undone closes nothing"
    second = three.desk.decide("top", fraud=False, person=ANN, now_us=three.now + 1)
    three.later(HOLD_US + 1_000_000)
    three.label("top", label_id=second or "", given_us=three.told()[1].given_us, fraud=False)
    assert three.open() == ["low", "mid"]
    assert [verdict.verdict for verdict in three.told()] == ["fraud", "legitimate"]
    assert three.case("top").fraud is False


def test_what_becomes_no_label_comes_back(three: Bench) -> None:
    three.desk.decide("top", fraud=True, person=ANN, now_us=three.now)
    three.later(HOLD_US)
    three.later(590_000_000)
    assert three.open() == ["low", "mid"]
    three.later(31_000_000)
    assert three.open() == ["low", "mid", "top"]
    assert [row.state for row in three.table(reviews)] == ["missing"]


def test_a_start_reads_what_came_before_it_misses_any(three: Bench) -> None:
    three.desk.decide("top", fraud=True, person=ANN, now_us=three.now)
    three.later(9_000_000)
    three.now += 3_600_000_000  # the stage is down
    three.sink.close()
    three.sink = CasesSink(
        three.url, three.broker, three.erased.intersection, clock=lambda: three.now, daily=20
    )
    three.later(0)
    three.later(31_000_000)
    assert "top" not in three.open()
    assert [row.state for row in three.table(reviews)] == ["told"]
    three.later(600_000_000)
    assert "top" in three.open()


def test_nor_does_it_if_something_newer_was_said(three: Bench) -> None:
    for name in ("top", "mid"):
        three.desk.decide(name, fraud=True, person=ANN, now_us=three.now)
    three.later(HOLD_US)
    assert three.desk.undo(ANN, three.now)
    assert three.desk.undo(ANN, three.now)
    three.desk.decide("top", fraud=False, person=ANN, now_us=three.now + 1)
    three.label("mid", given_us=three.now + 1)
    three.later(631_000_000)
    assert three.open() == ["low"]
    assert sorted(row.state for row in three.table(reviews)) == ["missing", "missing", "told"]


def test_kafka_is_away(three: Bench) -> None:
    three.desk.decide("top", fraud=True, person=ANN, now_us=three.now)

    def away(name: str, _after: bool) -> None:
        if name == "producer.produce":
            raise Retry("away")

    three.broker.hook, before = away, three.broker.hook
    with pytest.raises(Retry):
        three.later(HOLD_US)
    three.broker.hook = before
    three.later(1_000_000)
    assert [verdict.transaction_id for verdict in three.told()] == ["top"]


def test_somebody_else_has_decided_meanwhile(three: Bench) -> None:
    assert after(three, "") == "top"
    three.label("top")
    assert three.desk.decide("top", fraud=True, person=ANN, now_us=three.now) is None
