"""Finding cases, remarks on them, and many at once."""

from __future__ import annotations

from db.audit import export
from db.cases.bulk import MOST, Order, do_all, matching
from db.cases.desk import CLAIM_US
from db.cases.filters import NOBODY, Filters
from db.cases.reading import CaseReader
from db.cases.remarks import add_note, add_tag, remove_tag
from db.cases.tables import reviews
from tests.db.cases.desks import ALL, ANN, BOB, Bench, after


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
