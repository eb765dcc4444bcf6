"""People at work: a case is before one person at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from db.cases.desk import CLAIM_US, Desk, Person
from db.cases.tables import cases, reviews
from tests.db.cases.desks import ALL, ANN, BOB, Bench, after
from tests.db.scored import LAYOUT, frames
from tidegate.errors import Retry


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


def test_snoozed_cases_are_passed_over_until_then(three: Bench) -> None:
    assert three.desk.snooze("top", three.now + 50, ANN, three.now)
    assert after(three, "") == "mid"
    three.now += 51
    assert after(three, "", BOB) == "top"
