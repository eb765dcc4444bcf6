"""Which cases there are follows from rows and labels, whatever the order, however often."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consumers.cases import labels_in
from db.cases.rebuild import rebuild
from db.cases.remarks import add_note, add_tag
from db.cases.tables import case_notes, case_tags, cases, reviews, verdicts
from db.erasing import erase
from db.retention import delete_older
from model.hashing import hash64
from model.sampling import draws
from tests.db.cases.desks import ANN, SOURCE, Bench, label
from tests.db.scored import batch_of
from tidegate.messages.documents import Label

IDS = [f"t-{number}" for number in range(40)]


def test_one_case_for_each_flagged_row(bench: Bench) -> None:
    bench.rows("a", "b")
    bench.rows("c", decision="block", score=0.9)
    bench.rows("d", decision="approve")
    assert bench.open() == ["a", "b", "c"]
    case = bench.case("c")
    assert (case.decision, case.score, case.amount_minor) == ("block", 0.9, 1_250)
    assert (case.risk, case.draw, case.fraud) == (0.9 * 1_250, None, None)
    bench.rows("a", "e", decision="block")  # a comes again, and was decided otherwise meanwhile
    assert bench.case("a").decision == "review", "as its row has it"
    assert bench.open() == ["a", "b", "c", "e"]


def test_a_conflicting_duplicate_opens_nothing(bench: Bench) -> None:
    bench.rows("a", decision="approve")
    bench.rows("a", decision="block", body=9)
    assert bench.writer.reasons() == ["conflicting_duplicate"]
    assert bench.table(cases) == []


def test_a_write_that_fails_opens_nothing(bench: Bench) -> None:
    bench.run("DROP TABLE verdicts")
    with pytest.raises(Exception, match="verdicts"):
        bench.rows("a")
    assert bench.table(cases) == []


def test_a_verdict_closes_and_the_last_one_holds(bench: Bench) -> None:
    bench.rows("a", "b", "c")
    bench.label("a", given_us=20)
    bench.label("a", fraud=False, given_us=10, label_id="earlier")
    bench.label("b", weight=0.0)
    assert bench.open() == ["b", "c"]
    case = bench.case("a")
    assert (case.fraud, case.decided_us, case.decided_by) == (True, 20, "bank")
    bench.label("a", fraud=False, given_us=30, label_id="later", source="ann")
    case = bench.case("a")
    assert (case.fraud, case.decided_us, case.decided_by) == (False, 30, "ann")


def test_a_row_that_comes_after_its_verdict_is_closed(bench: Bench) -> None:
    bench.label("a")
    bench.rows("a")
    assert bench.open() == []
    assert bench.case("a").fraud is True


def test_the_draws_are_those_of_quality() -> None:
    ids = [
        b"",
        b"x",
        *(name.encode() for name in IDS),
        *(b"y" * k for k in range(1, 70)),
        b"z" * 2000,
    ]
    assert (draws(ids) == hash64(ids, 0x73616D70) / 2.0**64).all()


def smallest(ids: list[str], most: int) -> list[str]:
    drawn = dict(zip(ids, draws([name.encode() for name in ids]).tolist(), strict=True))
    return sorted(
        sorted((name for name in ids if drawn[name] <= 0.5), key=drawn.__getitem__)[:most]
    )


def test_the_sample_is_the_smallest_draws_of_the_day(sampling: Bench) -> None:
    for start in range(0, 40, 10):
        sampling.rows(*IDS[start : start + 10], decision="approve")
        sampling.later(31_000_000)
        assert sampling.open() == smallest(IDS[: start + 10], 3)
    case = sampling.table(cases)[0]
    assert case.decision == "approve"
    assert 0 < case.draw <= 0.5


def test_what_somebody_has_before_him_leaves_the_sample_later(sampling: Bench) -> None:
    sampling.rows(*IDS[:10], decision="approve")
    sampling.later(31_000_000)
    mine = smallest(IDS[:10], 3)[0]
    others = [f"u-{number}" for number in range(400)]
    assert sampling.desk.claim(mine, ANN, sampling.now)
    sampling.rows(*others, decision="approve")
    sampling.later(31_000_000)
    wanted = smallest(IDS[:10] + others, 3)
    assert mine not in wanted
    assert sampling.open() == sorted([*wanted, mine])
    sampling.later(601_000_000)
    assert sampling.open() == wanted


def test_what_people_worked_on_stays_in_the_sample(sampling: Bench) -> None:
    sampling.daily = sampling.sink._daily = 8
    sampling.rows(*IDS[:30], decision="approve")
    sampling.later(31_000_000)
    noted, tagged, assigned, decided, snoozed, told, left, best = sampling.open()
    assert add_note(sampling.desk, noted, "call the shop", ANN, sampling.now)
    assert add_tag(sampling.desk, tagged, "gang", ANN)
    assert sampling.desk.assign(assigned, "bob", ANN)
    sampling.label(decided, fraud=False)
    assert sampling.desk.snooze(snoozed, sampling.now + 100_000_000, ANN, sampling.now)
    assert sampling.desk.decide(told, fraud=True, person=ANN, now_us=sampling.now)
    sampling.later(9_000_000)  # and it leaves
    sampling.rows(*(f"u-{number}" for number in range(2000)), decision="approve")
    sampling.later(31_000_000)
    there = {row.transaction_id for row in sampling.table(cases)}
    assert {noted, tagged, assigned, decided, snoozed, told} <= there
    assert not {left, best} & there
    rebuilt(sampling)
    assert {row.transaction_id for row in sampling.table(cases)} == there
    sampling.later(70_000_000)
    left_later = there - {row.transaction_id for row in sampling.table(cases)}
    assert left_later == {snoozed}, "as it was put off, and nothing came of it"


def test_a_rebuild_samples_no_more_of_what_has_a_verdict(sampling: Bench) -> None:
    sampling.rows(*IDS, decision="approve")
    sampling.later(31_000_000)
    for name in IDS:
        sampling.label(name)
    before = [row.transaction_id for row in sampling.table(cases)]
    rebuilt(sampling)
    assert [row.transaction_id for row in sampling.table(cases)] == before


def test_a_day_begins_anew(sampling: Bench) -> None:
    sampling.rows(*IDS, decision="approve")
    sampling.run(
        "UPDATE transactions SET ingested_us = 86400000000 + seq",
        "UPDATE cases SET ingested_us = 86400000000",
    )
    sampling.rows(*(f"u-{number}" for number in range(40)), decision="approve")
    sampling.later(86_400_000_000)
    assert len(sampling.open()) == 6


def everything(bench: Bench) -> list[list[object]]:
    return [bench.table(table) for table in (cases, verdicts, case_notes, case_tags, reviews)]


def rebuilt(bench: Bench) -> tuple[int, int, int]:
    log = bench.broker.logs[SOURCE]

    def labels() -> Iterator[list[tuple[int, Label]]]:
        for start in range(0, len(log), 2):
            values = [record.value for record in log[start : start + 2]]
            yield labels_in(batch_of(values, SOURCE, start))

    return rebuild(
        bench.url,
        labels(),
        bench.erased.intersection,
        share=bench.share,
        most=bench.daily,
        now_us=bench.now,
    )


def test_a_rebuild_makes_the_same(sampling: Bench) -> None:
    sampling.rows(*IDS, decision="approve")
    sampling.rows("a", "b", "c", "d", "e")
    sampling.later(31_000_000)
    sampling.label("a")
    sampling.label("t-1", fraud=False)
    sampling.label("nobody's")
    assert sampling.desk.decide("b", fraud=True, person=ANN, now_us=sampling.now)
    assert sampling.desk.decide("e", fraud=True, person=ANN, now_us=sampling.now + 1)
    sampling.later(9_000_000)
    sampling.label("e", given_us=sampling.now)
    assert sampling.desk.undo(ANN, sampling.now + 1)
    sampling.desk.snooze("c", sampling.now + 5, ANN, sampling.now)
    sampling.desk.assign("c", "bob", ANN)
    add_note(sampling.desk, "c", "call the shop", ANN, sampling.now)
    add_tag(sampling.desk, "c", "gang", ANN)
    before = everything(sampling)
    assert rebuilt(sampling) == (8, 6, 4)
    assert everything(sampling) == before
    sampling.run(
        "DELETE FROM cases WHERE assignee IS NULL AND claimed_us = 0", "DELETE FROM verdicts"
    )
    rebuilt(sampling)
    assert everything(sampling) == before, "all but what people did"


def test_a_rebuild_leaves_what_is_not_folded_to_the_stage(bench: Bench) -> None:
    bench.rows("a", "b")
    bench.label("a")
    bench.run("UPDATE offsets SET next_offset = 0 WHERE topic = 'transactions.labels'")
    assert rebuilt(bench) == (2, 2, 0)
    bench.fold()
    assert bench.open() == ["b"]


def test_rows_from_before_there_were_cases(bench: Bench) -> None:
    bench.rows("a", "b")
    bench.label("a")
    bench.run("DELETE FROM cases", "DELETE FROM verdicts")
    assert rebuilt(bench) == (2, 1, 1)


def test_what_goes_with_its_rows(bench: Bench) -> None:
    bench.rows("a", account="one")
    bench.rows("b", account="two")
    for name in ("a", "b"):
        bench.label(name)
        bench.rows(f"{name}2", account="one" if name == "a" else "two")
        add_note(bench.desk, name, "a name", ANN, bench.now)
        add_tag(bench.desk, name, "gang", ANN)
        bench.desk.decide(f"{name}2", fraud=True, person=ANN, now_us=bench.now)
    erase(bench.url, "one", "dpo")
    left = everything(bench)
    assert [[row.transaction_id for row in table] for table in left] == [
        ["b", "b2"],
        ["b"],
        ["b"],
        ["b"],
        ["b2"],
    ]
    delete_older(bench.writer.sink._database, 3_000)
    assert [len(table) for table in everything(bench)] == [0, 1, 0, 0, 0]
    bench.erased.update(["a", "b"])
    bench.labels(label("a", label_id="again"))
    assert [row.transaction_id for row in bench.table(verdicts)] == ["b"], "as long as its label"
    rebuilt(bench)
    assert bench.table(verdicts) == []
