"""Each label is one row, whatever comes again and whoever else writes."""

from __future__ import annotations

import pytest

from consumers.cases import CasesStage
from db.cases.sink import CasesSink
from db.cases.tables import verdicts
from db.erasing import erase
from tests.db.cases.desks import SOURCE, Bench, label
from tests.db.scored import batch_of
from tidegate.broker.records import Position
from tidegate.errors import Fenced, Stop
from tidegate.messages.documents import Rollback, encode
from tidegate.stream.stage import NoState


def test_each_label_is_a_row_at_its_offset(bench: Bench) -> None:
    rollback = encode(Rollback(0, "abcd1234", 5))
    bench.labels(label("a"), rollback, b"{", b"", label("b", fraud=False))
    of_row = (1_000, "abcd1234", 1_250, 0.25, "review")
    assert [tuple(row) for row in bench.table(verdicts)] == [
        ("of a", "a", True, "bank", 1.0, 7, 0, *of_row),
        ("of b", "b", False, "bank", 1.0, 7, 4, *of_row),
    ]
    assert bench.sink.positions([SOURCE]) == {SOURCE: Position(5)}


def test_the_first_label_of_an_id_stays(bench: Bench) -> None:
    bench.labels(label("a", label_id="1"), label("a", fraud=False, label_id="1"))
    bench.labels(label("a", fraud=False, label_id="1"))
    assert [row.fraud for row in bench.table(verdicts)] == [True]


def test_who_was_overtaken_writes_nothing(bench: Bench) -> None:
    zombie = CasesSink(bench.url, bench.broker, lambda _: (), clock=lambda: 0, daily=0)
    assert zombie.positions([SOURCE]) == {}
    bench.label("a")
    batch = batch_of([label("b")], SOURCE)
    output = CasesStage().process(NoState(), batch)
    with pytest.raises(Fenced):
        zombie.write([(batch, output)], {SOURCE: Position(1)})
    zombie.close()
    assert [row.transaction_id for row in bench.table(verdicts)] == ["a"]


def test_the_labels_of_another_kafka_are_refused(bench: Bench) -> None:
    bench.label("a")
    bench.run("UPDATE offsets SET topic_id = 'made anew'")
    with pytest.raises(Stop, match=r"count another transactions\.labels"):
        bench.fold()


def test_what_was_erased_is_gone_and_does_not_come_back(bench: Bench) -> None:
    bench.rows("a", account="one")
    bench.rows("b", account="two")
    bench.labels(label("a"), label("b"))
    erase(bench.url, "one", "dpo")
    assert [row.transaction_id for row in bench.table(verdicts)] == ["b"]
    bench.erased.add("a")
    bench.labels(label("a", label_id="again"), label("b", label_id="again b"))
    assert [row.transaction_id for row in bench.table(verdicts)] == ["b", "b"]
