"""People at work: a case is before one person at a time, and nothing that is said is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from db.audit import export
from db.cases.bulk import MOST, Order, do_all, matching
from db.cases.desk import CLAIM_US, Desk, Person
from db.cases.filters import NOBODY, Filters
from db.cases.outbox import HOLD_US
from db.cases.reading import CaseReader
from db.cases.remarks import add_note, add_tag, remove_tag
from db.cases.sink import CasesSink
from db.cases.tables import cases, reviews
from tests.db.cases.desks import ANN, BOB, Bench
from tests.db.scored import LAYOUT, frames
from tidegate.errors import Retry

ALL = Filters()
SCORES = {"low": 0.4, "mid": 0.6, "top": 0.9}


@pytest.fixture
def three(bench: Bench) -> Bench:
    for name, score in SCORES.items():
        bench.rows(name, score=score)
    return bench


def after(bench: Bench, case: str, person: Person = ANN, *, back: bool = False) -> str | None:
    return bench.desk.claim_next(ALL, person, bench.now, case, back=back)


def test_the_queue_is_walked_both_ways_and_round(three: Bench) -> None:
    assert after(three, "") == "top"
    assert after(three, "top") == "mid"
    assert after(three, "mid") == "low"
    assert after(three, "low") == "top", "from the beginning again"
    assert after(three, "top", back=True) == "low"
    assert after(three, "low", back=True) == "mid"
    assert [row.transaction_id for row in three.table(cases) if row.claim] == ["mid"], (
        "one a person"
    )


def test_equal_risks_go_by_age_and_then_by_id(bench: Bench) -> None:
    bench.rows("b", "c", "a")
    bench.run("UPDATE cases SET ingested_us = 1 WHERE transaction_id = 'c'")
    walk = [after(bench, "")]
    for _ in range(2):
        walk.append(after(bench, str(walk[-1])))
    assert walk == ["c", "a", "b"]
    assert after(bench, "b", back=True) == "a"


def test_without_money_the_score_decides(bench: Bench) -> None:
    made = frames(["a"], decision=1, score=0.9)
    made.rows["amount_minor"] = 0
    bench.writer.write(*LAYOUT.pack(made))
    assert bench.case("a").risk == 0.9


def test_nobody_gets_what_somebody_has(three: Bench) -> None:
    assert after(three, "") == "top"
    assert after(three, "", BOB) == "mid"
    assert not three.desk.claim("top", BOB, three.now)
    assert three.desk.decide("top", fraud=True, person=BOB, now_us=three.now) is None
    assert not three.desk.snooze("top", three.now + 1, BOB, three.now)
    three.now += CLAIM_US - 1
    assert three.desk.claim("top", ANN, three.now), "renewed"
    three.now += 2
    assert not three.desk.claim("top", BOB, three.now)
    assert three.desk.claim("mid", ANN, three.now), "this one's claim has ended"
    assert three.case("top").claimed_us == 1_000_000_000, "since then she has had it"


def test_two_at_once_never_get_one_case(bench: Bench) -> None:
    bench.rows(*(f"c-{number}" for number in range(60)))
    start = Barrier(4)

    def work(name: str) -> list[str]:
        desk, person = Desk(bench.url), Person(name, f"browser of {name}", False)
        mine: list[str] = []
        start.wait()
        while True:
            try:
                found = desk.claim_next(ALL, person, bench.now)
                if found is None:
                    break
                if desk.decide(found, fraud=True, person=person, now_us=bench.now):
                    mine.append(found)
            except Retry:  # a deadlock, or somebody writes for long: the page says 503
                continue
        desk.close()
        return mine

    with ThreadPoolExecutor(4) as pool:
        found = [case for mine in pool.map(work, "abcd") for case in mine]
    assert sorted(found) == sorted(f"c-{number}" for number in range(60))
    assert len(bench.table(reviews)) == 60


def test_two_want_the_same_case_at_the_same_moment(bench: Bench) -> None:
    bench.rows(*(f"c-{number}" for number in range(30)))
    other, start = Desk(bench.url), Barrier(2)

    def take(desk: Desk, person: Person) -> list[bool]:
        taken = []
        for number in range(30):
            start.wait()
            taken.append(desk.claim(f"c-{number}", person, bench.now))
        return taken

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.submit(take, bench.desk, ANN), pool.submit(take, other, BOB)
        assert [a + b for a, b in zip(one.result(), two.result(), strict=True)] == [1] * 30
    other.close()


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


def test_snoozed_cases_are_passed_over_until_then(three: Bench) -> None:
    assert three.desk.snooze("top", three.now + 50, ANN, three.now)
    assert after(three, "") == "mid"
    three.now += 51
    assert after(three, "", BOB) == "top"


def test_filters(three: Bench) -> None:
    three.rows("blocked", decision="block", score=0.1)
    reader = CaseReader(three.url)
    add_tag(three.desk, "mid", "gang", ANN)
    add_tag(three.desk, "mid", "gang", BOB)
    three.desk.assign("low", "bob", ANN)
    three.desk.snooze("top", three.now + 50, ANN, three.now)
    three.desk.claim("low", BOB, three.now)
    three.run("UPDATE cases SET amount_minor = 5 WHERE transaction_id = 'mid'")

    def found(claim: str = "", **filters: object) -> list[str]:
        page, _ = reader.page(Filters(**filters), claim, three.now, None, 50)  # type: ignore[arg-type] # by name
        return [row.transaction_id for row in page]

    assert found() == ["mid", "blocked"]
    assert found(BOB.claim) == ["mid", "low", "blocked"]
    assert found(state="snoozed") == ["top"]
    assert found(state="claimed") == ["low"]
    assert found(kind="block") == ["blocked"]
    assert found(tag="gang") == ["mid"]
    assert found(BOB.claim, assignee="bob") == ["low"]
    assert found(assignee=NOBODY) == ["mid", "blocked"]
    assert found(most=5) == ["mid"]
    assert found(least=6) == ["blocked"]
    counts = reader.counts(ALL, "", three.now)
    assert counts.states == {"queue": 2, "snoozed": 1, "claimed": 1}
    assert counts.kinds == {"review": 1, "block": 1, "sample": 0}
    assert (reader.known_tags(), reader.known_assignees()) == (["gang"], ["bob"])
    assert remove_tag(three.desk, "mid", "gang", ANN)
    assert not remove_tag(three.desk, "mid", "gang", ANN)
    assert found(tag="gang") == []
    three.label("mid")
    assert found(state="decided") == ["mid"]
    reader.close()


def test_a_list_has_pages(bench: Bench) -> None:
    bench.rows(*(f"c-{number}" for number in range(7)))
    reader, place, pages = CaseReader(bench.url), None, []
    for _ in range(3):
        page, place = reader.page(ALL, "", bench.now, place, 3)
        pages.append([row.transaction_id for row in page])
    assert pages == [["c-0", "c-1", "c-2"], ["c-3", "c-4", "c-5"], ["c-6"]]
    assert place is None
    reader.close()


def test_notes_are_told_to_the_audit_without_their_words(three: Bench) -> None:
    assert add_note(three.desk, "top", "Mrs Smith called", ANN, three.now)
    assert not add_note(three.desk, "nobody", "x", ANN, three.now)
    assert not add_tag(three.desk, "nobody", "x", ANN)
    assert not three.desk.assign("nobody", "x", ANN)
    three.desk.decide("top", fraud=True, person=ANN, now_us=three.now)
    three.desk.undo(ANN, three.now)
    reader = CaseReader(three.url)
    case = reader.get("top")
    assert case is not None
    assert [(note.written_by, note.note) for note in case.notes] == [("ann", "Mrs Smith called")]
    assert reader.get("nobody") is None
    reader.close()
    entries = list(export(three.url))
    assert [(entry.who, entry.what, entry.about) for entry in entries] == [
        ("ann", "note written", "top"),
        ("ann", "case decided", "top"),
        ("ann", "verdict taken back", "top"),
    ]
    assert not any("Smith" in entry.detail for entry in entries)


def test_bulk_does_it_to_as_many_as_was_said(three: Bench) -> None:
    three.desk.claim("mid", BOB, three.now)
    with three.desk.writing() as connection:
        assert matching(connection, ALL, ANN, three.now) == 2
    assert do_all(three.desk, Order("fraud"), ALL, 3, ANN, three.now) is None
    assert do_all(three.desk, Order("fraud"), Filters(state="decided"), 0, ANN, three.now) is None
    assert three.table(reviews) == []
    assert do_all(three.desk, Order("tag", "gang"), ALL, 2, ANN, three.now) == 2
    tagged = Filters(tag="gang")
    assert do_all(three.desk, Order("assign", "ann"), tagged, 2, ANN, three.now) == 2
    assert do_all(three.desk, Order("legitimate"), tagged, 2, ANN, three.now) == 2
    assert three.open() == ["mid"]
    assert [(row.transaction_id, row.fraud) for row in three.table(reviews) if row.state == "held"]
    three.now += CLAIM_US + 1
    assert do_all(three.desk, Order("snooze", until_us=three.now + 9), ALL, 1, ANN, three.now) == 1
    assert after(three, "") is None
    said = [entry.what for entry in export(three.url)]
    assert said == [f"cases in bulk: {what}" for what in ("tag", "assign", "legitimate", "snooze")]


def test_bulk_has_an_end(bench: Bench) -> None:
    bench.rows(*(f"c-{number}" for number in range(MOST + 1)))
    assert do_all(bench.desk, Order("fraud"), ALL, MOST + 1, ANN, bench.now) is None
    assert bench.table(reviews) == []
