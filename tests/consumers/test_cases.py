"""The stage `cases` with its sink on both databases: each label once, whatever comes again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy import select, text

from consumers.cases import CasesStage
from db.cases.sink import CasesSink
from db.cases.tables import verdicts
from db.engine import open_database
from db.erasing import erase
from tests.db.scored import Writer, batch_of, values
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Position, TopicPartition
from tidegate.errors import Fenced, Stop
from tidegate.messages.documents import Label, Rollback, encode
from tidegate.pipeline import LABELS
from tidegate.stream.stage import NoState

SOURCE = TopicPartition(LABELS, 0)


def label(
    transaction_id: str, *, fraud: bool = True, label_id: str = "", given_us: int = 7
) -> bytes:
    return encode(
        Label(
            transaction_id,
            label_id or f"of {transaction_id}",
            fraud,
            "analyst",
            "abcd1234",
            1_000,
            1_250,
            given_us,
            [1],
            [1.5, None],
            0.25,
            "review",
            ["u1", None],
        )
    )


@dataclass
class Folding:
    """The stage's sink on a database, and where it goes on."""

    url: str
    broker: MemoryBroker = field(default_factory=lambda: MemoryBroker({LABELS: 1}))
    erased: set[str] = field(default_factory=set)
    sink: CasesSink = field(init=False)

    def __post_init__(self) -> None:
        self.sink = CasesSink(self.url, self.broker, self.erased.intersection)

    def at(self) -> int:
        return self.sink.positions([SOURCE]).get(SOURCE, Position(0)).offset

    def take(self, *records: bytes | None, start: int) -> None:
        batch = batch_of(list(records), SOURCE, start)
        output = CasesStage().process(NoState(), batch)
        self.sink.write([(batch, output)], {SOURCE: Position(start + len(records))})


@pytest.fixture
def folding(url: str) -> Iterator[Folding]:
    made = Folding(url)
    yield made
    made.sink.close()


def stored(url: str) -> list[tuple[object, ...]]:
    database = open_database(url, "read")
    with database.engine.connect() as connection:
        query = select(verdicts).order_by(verdicts.c.label_offset)
        rows = [tuple(row) for row in connection.execute(query)]
    database.close()
    return rows


def test_each_label_is_a_row_at_its_offset(folding: Folding) -> None:
    assert folding.at() == 0
    rollback = encode(Rollback(0, "abcd1234", 5))
    folding.take(label("a"), rollback, b"{", None, label("b", fraud=False), start=0)
    assert stored(folding.url) == [
        ("of a", "a", True, "analyst", 1.0, 7, 1_000, 0),
        ("of b", "b", False, "analyst", 1.0, 7, 1_000, 4),
    ]
    assert folding.at() == 5


def test_the_first_label_of_an_id_stays(folding: Folding) -> None:
    folding.at()
    folding.take(label("a", label_id="1"), label("a", fraud=False, label_id="1"), start=0)
    folding.take(label("a", fraud=False, label_id="1"), start=2)
    assert [row[2] for row in stored(folding.url)] == [True]


def test_who_was_overtaken_writes_nothing(folding: Folding) -> None:
    folding.at()
    zombie = Folding(folding.url, folding.broker)
    assert zombie.at() == 0
    folding.take(label("a"), start=0)
    with pytest.raises(Fenced):
        zombie.take(label("b"), start=0)
    zombie.sink.close()
    assert [row[1] for row in stored(folding.url)] == ["a"]


def test_the_labels_of_another_kafka_are_refused(folding: Folding) -> None:
    folding.at()
    folding.take(label("a"), start=0)
    database = open_database(folding.url)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE offsets SET topic_id = 'made anew'"))
    database.close()
    with pytest.raises(Stop, match=r"count another transactions\.labels"):
        folding.at()


def test_what_was_erased_is_gone_and_does_not_come_back(folding: Folding, writer: Writer) -> None:
    writer.write(*values(["a"], account="one"), *values(["b"], account="two"))
    folding.at()
    folding.take(label("a"), label("b"), start=0)
    erase(folding.url, "one", "dpo")
    assert [row[1] for row in stored(folding.url)] == ["b"]
    folding.erased.add("a")
    folding.take(label("a", label_id="again"), label("b", label_id="again b"), start=2)
    assert [row[1] for row in stored(folding.url)] == ["b", "b"]
