"""Rows, labels and people at work on the cases of one database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, Table, select, text

from consumers.cases import CasesStage
from db.cases.desk import Desk, Person
from db.cases.filters import Filters
from db.cases.sink import CasesSink
from db.cases.tables import cases
from db.engine import open_database
from db.names import Names
from db.sink import SqlSink
from tests.db.scored import NAMES, Writer, batch_of, values
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Position, TopicPartition
from tidegate.messages.documents import Label, Verdict, decode_verdict, encode
from tidegate.pipeline import DLQ, FEEDBACK, LABELS, SCORED
from tidegate.stream.stage import NoState

SOURCE = TopicPartition(LABELS, 0)
ANN, BOB = Person("ann", "browser-a", True), Person("bob", "browser-b", True)
FLAGGED = {"review": 1, "block": 2}
ALL = Filters()
SCORES = {"low": 0.4, "mid": 0.6, "top": 0.9}


def new_broker() -> MemoryBroker:
    return MemoryBroker({SCORED: 2, DLQ: 1, LABELS: 1, FEEDBACK: 1})


@dataclass
class Bench:
    """One database, with persist's sink, the cases' sink, and a desk."""

    url: str
    share: float = 0.0
    daily: int = 20
    names: Names = NAMES
    now: int = 1_000_000_000
    broker: MemoryBroker = field(default_factory=new_broker)
    erased: set[str] = field(default_factory=set)
    writer: Writer = field(init=False)
    sink: CasesSink = field(init=False)
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.writer = Writer(self.url, self.broker)
        self.writer.sink.close()
        self.writer.sink = SqlSink(
            self.url, self.broker, self.names, clock=lambda: self.now, sample=self.share
        )
        self.writer.assign()
        self.sink = CasesSink(
            self.url,
            self.broker,
            self.erased.intersection,
            clock=lambda: self.now,
            daily=self.daily,
        )
        self.desk = Desk(self.url)

    def close(self) -> None:
        for part in (self.writer.sink, self.sink, self.desk):
            part.close()

    def rows(self, *ids: str, decision: str = "review", **options: str | int | float) -> None:
        code = FLAGGED.get(decision, 0)
        self.writer.write(*values(list(ids), decision=code, **options))

    def label(self, transaction_id: str, **changes: Any) -> None:  # noqa: ANN401 - as `label`
        """A label is written, and folded."""
        self.labels(label(transaction_id, **changes))

    def labels(self, *labels: bytes) -> None:
        producer = self.broker.producer()
        for value in labels:
            producer.produce(LABELS, b"key", value, lambda _error: None)
        self.fold()

    def fold(self) -> None:
        """All labels that were not folded yet."""
        start = self.sink.positions([SOURCE]).get(SOURCE, Position(0)).offset
        values_ = [record.value for record in self.broker.logs[SOURCE][start:]]
        if values_:
            batch = batch_of(values_, SOURCE, start)
            output = CasesStage().process(NoState(), batch)
            self.sink.write([(batch, output)], {SOURCE: Position(batch.next_offset)})

    def told(self) -> list[Verdict]:
        """What is on the feedback topic."""
        log = self.broker.logs[TopicPartition(FEEDBACK, 0)]
        return [decode_verdict(record.value or b"") for record in log]

    def later(self, us: int) -> None:
        """Time goes by, and the stage has its turn."""
        self.now += us
        self.sink.settle()

    def case(self, transaction_id: str) -> Row[Any]:
        (found,) = [row for row in self.table(cases) if row.transaction_id == transaction_id]
        return found

    def open(self) -> list[str]:
        return sorted(row.transaction_id for row in self.table(cases) if row.open)

    def table(self, table: Table) -> list[Row[Any]]:
        database = open_database(self.url, "read")
        with database.engine.connect() as connection:
            first = next(iter(table.primary_key))
            found = list(connection.execute(select(table).order_by(first)))
        database.close()
        return found

    def run(self, *statements: str) -> None:
        database = open_database(self.url)
        with database.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
        database.close()


def label(
    transaction_id: str,
    *,
    fraud: bool = True,
    label_id: str = "",
    given_us: int = 7,
    source: str = "bank",
    weight: float = 1.0,
) -> bytes:
    return encode(
        Label(
            transaction_id,
            label_id or f"of {transaction_id}",
            fraud,
            source,
            "abcd1234",
            1_000,
            1_250,
            given_us,
            [1],
            [1.5, None],
            0.25,
            "review",
            ["u1", None],
            weight,
        )
    )


def after(bench: Bench, case: str, person: Person = ANN, *, back: bool = False) -> str | None:
    """Walk on to the next case, or back to the one before."""
    return bench.desk.claim_next(ALL, person, bench.now, case, back=back)
