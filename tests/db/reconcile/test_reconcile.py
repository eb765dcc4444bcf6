"""Records of the raw topic and what became of them, through the whole pipeline in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from cli.reconcile import document, lines, write_metric
from db.reconcile.ledger import READ, ROW, Ledger, Totals, places
from db.reconcile.reconcile import Reconciler
from tests.faults.injected.bench import NOW_MS, PROFILE, Bench
from tests.faults.injected.test_pipeline import Step
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import TopicPartition
from tidegate.dead_letters.redrive import redrive
from tidegate.dead_letters.selection import Selection
from tidegate.errors import Stop
from tidegate.messages.frame_column import FrameColumn, read_block
from tidegate.pipeline import CONSUMERS, RAW, SCORED
from tidegate.profile import Profile

pytestmark = pytest.mark.training


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, batch=50)
    yield made
    made.close()


def post(bench: Bench, steps: Sequence[Step]) -> None:
    for step in steps:
        step.post(bench)


def reconciled(bench: Bench, profile: Profile = PROFILE, **options: int) -> Totals:
    reconciler = Reconciler(bench.broker, profile, bench.database)
    with closing(reconciler):
        return reconciler.run(**options)


def outcomes(totals: Totals) -> dict[str, int]:
    found = document(totals)
    names = ("row", "dead_letter", "under_way", "repeat", "passed", "erased", "missing")
    return {name: found[name] for name in names if found[name]}  # type: ignore[misc]


def execute(bench: Bench, statement: str) -> None:
    with closing(sqlite3.connect(bench.home / "tidegate.db")) as database, database:
        assert database.execute(statement).rowcount


def test_rows_dead_letters_and_repeats_are_all_there_is(bench: Bench) -> None:
    post(bench, [Step(k, user=k % 5) for k in range(40)])
    post(bench, [Step(k, user=k % 5) for k in range(10)])  # the same again
    post(bench, [Step(3, user=3, amount=9), Step(0, kind="bad")])
    bench.run()
    totals = reconciled(bench)
    assert outcomes(totals) == {"row": 40, "dead_letter": 2, "repeat": 10}
    assert totals.equal
    assert totals.records == 52
    assert lines(totals)[-1] == "all 52 records are accounted for"
    redrive(bench.broker, PROFILE, Selection())
    bench.run()
    assert outcomes(reconciled(bench)) == {"row": 40, "dead_letter": 3, "repeat": 10}


@pytest.mark.parametrize("stages", [(), CONSUMERS[:1], CONSUMERS[:2], CONSUMERS[:3]])
def test_what_is_under_way_is_found_wherever_it_is(bench: Bench, stages: tuple[str, ...]) -> None:
    post(bench, [Step(k, user=k % 5) for k in range(20)])
    bench.run()
    post(bench, [Step(k, user=k % 5) for k in range(15, 30)])  # the first five are repeats
    for _ in range(5):
        bench.turn(stages)
    found = outcomes(reconciled(bench))
    later = {"under_way": 10, "repeat": 5} if stages else {"under_way": 15}
    assert found == {"row": 20, **later}


def test_repeats_of_what_is_no_row_yet_are_not_missing(bench: Bench) -> None:
    post(bench, [Step(k) for k in range(5)])
    post(bench, [Step(k) for k in range(5)])
    for _ in range(5):
        bench.turn(CONSUMERS[:2])
    assert outcomes(reconciled(bench)) == {"under_way": 5, "repeat": 5}


def test_a_row_that_is_gone_is_missing_by_place_and_id(bench: Bench, tmp_path: Path) -> None:
    post(bench, [Step(k, user=k % 5) for k in range(30)])
    bench.run()
    execute(bench, "DELETE FROM transactions WHERE transaction_id IN ('t7', 't8')")
    totals = reconciled(bench)
    assert outcomes(totals) == {"row": 28, "missing": 2}
    assert not totals.equal
    assert {each.id for each in totals.missing} == {"t7", "t8"}
    [where] = {(r.partition, r.offset) for r in totals.missing if r.id == "t7"}
    record = bench.broker.logs[TopicPartition(RAW, where[0])][where[1]]
    assert b'"t7"' in (record.value or b"")
    assert [line for line in lines(totals) if "t8" in line]
    assert len(reconciled(bench, keep=1).missing) == 1
    write_metric(totals, tmp_path / "reconcile.prom")
    written = (tmp_path / "reconcile.prom").read_text()
    assert 'tidegate_reconciled_records{outcome="missing"} 2.0' in written
    assert 'tidegate_reconciled_records{outcome="row"} 28.0' in written


_INSERT = (
    "INSERT INTO offsets (topic, partition, next_offset, cluster_id, topic_id, partitions) "
    "VALUES (?, ?, ?, 'memory', ?, ?)"
)


def test_what_a_stage_never_read_is_missing(bench: Bench) -> None:
    """Persist goes on behind frames that it has not read, as after an expired topic."""
    post(bench, [Step(k) for k in range(12)])
    for _ in range(5):
        bench.turn(CONSUMERS[:3])
    with closing(sqlite3.connect(bench.home / "tidegate.db")) as database, database:
        for source, log in bench.broker.logs.items():
            if source.topic == SCORED:
                place = (SCORED, source.partition, len(log), f"id-of-{SCORED}", 2)
                database.execute(_INSERT, place)
    bench.run()
    assert outcomes(reconciled(bench)) == {"missing": 12}


def test_a_dead_letter_of_a_later_step_stands_for_its_record(bench: Bench) -> None:
    post(bench, [Step(k) for k in range(4)])
    for _ in range(5):
        bench.turn(CONSUMERS[:3])
    [(source, offset, record), *_] = bench.broker.committed_records(SCORED)
    column = read_block(record.value)
    assert column is not None
    rows = column.rows_as(PROFILE.scored_layout.dtype)
    rows["decision"][-1] = 9
    damaged = FrameColumn.of_rows(rows, column.tails)
    bench.broker.logs[source][offset].value = damaged.block()
    bench.run()
    assert [letter.told["stage"] for letter in bench.dead()] == ["persist"]
    assert outcomes(reconciled(bench)) == {"row": 3, "dead_letter": 1}


def test_rows_of_a_raw_topic_that_was_made_anew_do_not_stand_for_its_records(bench: Bench) -> None:
    """Partition and offset are the same, the time is not."""
    post(bench, [Step(k) for k in range(6)])
    bench.run()
    execute(bench, "UPDATE transactions SET ingested_us = ingested_us - 86400000000")
    execute(bench, "UPDATE transactions SET transaction_id = 'old-' || transaction_id")
    assert outcomes(reconciled(bench)) == {"missing": 6}


def test_rows_without_a_record_are_told() -> None:
    ledger = Ledger({0: (10, 20), 1: (0, 3)})
    ledger.mark(ROW, places([(0, 10), (0, 12), (0, 13), (0, 99), (1, 0), (2, 5)]))
    ledger.mark(READ, places([(0, 11), (0, 12), (0, 14)]))
    assert ledger.rows_without_record() == 1  # 13; what lies before 11 has expired meanwhile
    totals = Totals(rows_without_record=1)
    assert not totals.equal
    assert "1 rows name a record that is not on the raw topic" in "\n".join(lines(totals))


def test_only_what_came_since_then(bench: Bench) -> None:
    post(bench, [Step(k) for k in range(5)])
    bench.broker._time = NOW_MS + 86_400_000
    post(bench, [Step(k, late_s=-86_000) for k in range(5, 12)])
    bench.run()
    assert reconciled(bench).records == 12
    found = reconciled(bench, since_ms=NOW_MS + 3_600_000)
    assert found.records == 7
    assert len({day for _, day, _ in reconciled(bench).counts}) == 2


def test_another_kafkas_database_is_refused(bench: Bench) -> None:
    post(bench, [Step(1)])
    bench.run()
    other = MemoryBroker(bench.topics)
    other.cluster_id = lambda: "another"  # type: ignore[method-assign]
    reconciler = Reconciler(other, PROFILE, bench.database)
    with closing(reconciler), pytest.raises(Stop, match="another"):
        reconciler.run()
