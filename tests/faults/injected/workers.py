"""Processes of the bench: what each writes to, and what is closed for it when it dies."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import event

from db.cases.sink import CasesSink
from db.names import names_of
from db.sink import SqlSink
from db.store import Store
from model.bundles.published import WeightsSink
from tests.stream.crash import Clock, Crash
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.ports import Consumer
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.errors import Aborted, Retry
from tidegate.profile import load_profile
from tidegate.stream.runner import Runner
from tidegate.stream.sink import KafkaSink, Sink
from tidegate.stream.stage import Output

_TRANSACTIONAL = frozenset(
    {"begin", "produce", "send_offsets", "commit", "abort", "init_transactions"}
)


class HookedSink:
    """An SQL sink whose statements and commit count as I/O calls."""

    def __init__(self, sink: SqlSink | CasesSink, broker: MemoryBroker) -> None:
        self._sink, self._broker = sink, broker
        engine = sink._database.engine
        event.listen(engine, "before_cursor_execute", lambda *_: broker.hook("sql.execute", False))
        event.listen(engine, "commit", lambda _: broker.hook("sql.commit", False))

    def settle(self) -> None:
        self._sink.settle()

    def positions(self, partitions: list[TopicPartition]) -> dict[TopicPartition, Position]:
        with self._broker.call("sql.positions"):
            return self._sink.positions(partitions)

    def write(
        self,
        results: list[tuple[Batch, Output]],
        positions: dict[TopicPartition, Position],
    ) -> None:
        with self._broker.call("sql.write"):
            self._sink.write(results, positions)

    def close(self) -> None:
        self._sink.close()


@dataclass
class Worker:
    """One process: its runner, and what the operating system closes for it when it dies."""

    runner: Runner
    sink: Sink
    store: Store | None = None

    def die(self) -> None:
        if isinstance(self.sink, HookedSink):
            self.sink.close()
        if self.store is not None:
            self.store.close()


def sink_of(
    name: str,
    broker: MemoryBroker,
    consumer: Consumer,
    *,
    database: str,
    bundle: str,
    instance: str,
    clock: Clock,
) -> Sink:
    """Where the stage of this name writes; a database's calls can fail as well."""
    profile = load_profile("card")
    if name == "persist":
        return HookedSink(SqlSink(database, broker, names_of(profile), clock=clock), broker)
    if name == "cases":
        sink = CasesSink(database, broker, lambda _ids: (), clock=clock, daily=20)
        return HookedSink(sink, broker)
    if name == "learn":
        return WeightsSink(
            broker, consumer, bundle, instance=instance, profile=profile.hash, clock=clock
        )
    return KafkaSink(broker, consumer, name, instance=instance, profile=profile.hash, clock=clock)


def fail(kind: str, name: str, broker: MemoryBroker) -> None:
    """A fault of this kind in the I/O call of this name, where that call can have it."""
    if kind == "crash":
        raise Crash(name)
    if kind == "expire":
        broker.expire_members()
    if kind == "rebuild" and name in _TRANSACTIONAL:
        raise Aborted(f"{name} timed out", rebuild=True)
    if kind == "abort" and name in ("produce", "send_offsets"):
        raise Aborted(f"{name} asks for an abort")
    if kind == "away" and name.startswith("sql."):
        raise Retry("the database is away")
