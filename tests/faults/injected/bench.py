"""The whole pipeline on the broker in memory and an SQLite file: crash it anywhere, run it to its
end, look at it.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import event, select

from consumers.cases import CasesStage
from consumers.label import LabelStage
from consumers.learn import LearnStage
from consumers.persist import Persist
from consumers.preprocess import PreprocessStage
from consumers.rewinding import checkpoints_of
from consumers.score import ScoreStage
from db.cases.sink import CasesSink
from db.engine import open_database
from db.migrate import migrate
from db.names import names_of
from db.sink import SqlSink
from db.store import Store
from db.tables import transactions
from model.bundles.published import WeightsSink, label_history
from tests.blocks import records_of
from tests.faults.bundle import card_bundle
from tests.shared import made_once
from tests.stream.crash import Clock, Crash, Inline
from tests.stream.hooked_snapshots import HookedSnapshots, new_folder
from tidegate import pipeline
from tidegate.broker import committed
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, Headers, Position, TopicPartition
from tidegate.dead_letters.letters import DeadLetter, dead_letters
from tidegate.errors import Aborted, Retry
from tidegate.messages.documents import Champion, encode
from tidegate.pipeline import CONSUMERS, DLQ, FRAMES, MODELS, RAW, STAGES, group_of
from tidegate.profile import load_profile
from tidegate.stream import input_order, waiting
from tidegate.stream.input_order import Pair
from tidegate.stream.runner import Runner
from tidegate.stream.sink import KafkaSink, Sink
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.stage import Output, Stage, State

TOPICS = dict.fromkeys(pipeline.TOPICS, 1) | dict.fromkeys((RAW, *FRAMES), 2)
STATEFUL = ("preprocess", "preprocess-2", "persist", "learn")
NOW_MS = 1_790_000_000_000
_TRANSACTIONAL = frozenset(
    {"begin", "produce", "send_offsets", "commit", "abort", "init_transactions"}
)
PROFILE = load_profile("card")


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


@dataclass
class Bench:
    """`faults`: number of the I/O call (before and after are two) and kind: crash, rebuild, abort,
    expire or away.
    """

    home: Path
    faults: Mapping[int, str] = field(default_factory=dict)
    batch: int = 3
    snapshot_every: int = 4
    topics: Mapping[str, int] = field(default_factory=lambda: TOPICS)
    workers: Mapping[str, int] = field(default_factory=dict)
    batches: Mapping[str, int] = field(default_factory=dict)
    """Of stages whose batches have another size."""

    def __post_init__(self) -> None:
        self.broker = MemoryBroker(self.topics)
        self.broker._time = NOW_MS
        self.folder, self.bundle = card_bundle()
        self.database = f"sqlite:///{self.home / 'tidegate.db'}"
        shutil.copy(_migrated(), self.home / "tidegate.db")
        self.snapshots = new_folder()
        self.calls, self.happened = 0, list[str]()
        self.clock, self._faults = Clock(), dict(self.faults)
        self.clock.now = NOW_MS * 1000
        self._running: dict[tuple[str, int], Worker | None] = {
            (name, at): None for name in CONSUMERS for at in range(self.workers.get(name, 1))
        }
        self._pairs: dict[TopicPartition, set[Pair]] = {}
        self.put(MODELS, b"champion", encode(Champion(self.bundle.hash, PROFILE.hash.decode(), 0)))
        self.broker.hook = self._hook

    def put(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers | None = None
    ) -> None:
        """A record that is durable."""
        self.broker.append(topic, key, value, headers, None)

    def post(self, value: bytes) -> None:
        """A transaction as the API puts it on the raw topic."""
        self.put(RAW, PROFILE.key_of(PROFILE.decode(value)), value)

    def stage(self, name: str) -> tuple[Stage[Any], Store | None]:
        if name == "label":
            store = Store(self.database, PROFILE)
            return LabelStage(PROFILE, store.lookup, wait_s=2.0), store
        makers: dict[str, Callable[[], Stage[Any]]] = {
            "preprocess": lambda: PreprocessStage(PROFILE, 0),
            "preprocess-2": lambda: PreprocessStage(PROFILE, 1),
            "score": lambda: ScoreStage(PROFILE, self.folder),
            "persist": lambda: Persist(PROFILE, self.folder),
            "learn": lambda: LearnStage(PROFILE, self.bundle, label_history(self.broker)),
            "cases": CasesStage,
        }
        return makers[name](), None

    def start(self, name: str, at: int = 0) -> Worker:
        """A process of this stage; raises Crash where a fault is due."""
        stage, store = self.stage(name)
        if isinstance(stage, LearnStage):
            stage.checkpoints = checkpoints_of(stage, self.broker, Snapshots(self.snapshots))
        consumer = self.broker.consumer(group_of(name))
        sink: Sink
        if name == "persist":
            sink = HookedSink(
                SqlSink(self.database, self.broker, names_of(PROFILE), clock=self.clock),
                self.broker,
            )
        elif name == "cases":
            sink = HookedSink(
                CasesSink(self.database, self.broker, lambda _ids: (), clock=self.clock, daily=20),
                self.broker,
            )
        elif name == "learn":
            sink = WeightsSink(
                self.broker,
                consumer,
                self.bundle.hash,
                instance=str(at),
                profile=PROFILE.hash,
                clock=self.clock,
            )
        else:
            sink = KafkaSink(
                self.broker,
                consumer,
                name,
                instance=str(at),
                profile=PROFILE.hash,
                clock=self.clock,
            )
        try:
            snapshots = HookedSnapshots(self.snapshots, self.broker, damaged=False)
            runner = Runner(
                stage,
                self.broker,
                consumer,
                sink,
                snapshots=snapshots,
                clock=self.clock,
                monotonic=Clock(1_000_000) if name == "learn" else self.clock,
                batch=self.batches.get(name, self.batch),
                snapshot_every=self.snapshot_every,
                side_every=0.0,
                executor=Inline(),
            )
        except BaseException:
            Worker(None, sink, store).die()  # type: ignore[arg-type]
            raise
        return Worker(runner, sink, store)

    def turn(self, order: Sequence[str] = CONSUMERS) -> None:
        """Every process of these stages does one poll."""
        for name in order:
            for at in range(self.workers.get(name, 1)):
                self._turn(name, at)
        self._remember()

    def _turn(self, name: str, at: int) -> None:
        worker = self._running[name, at]
        try:
            if worker is None:
                worker = self._running[name, at] = self.start(name, at)
            worker.runner.run_once()
        except Crash:
            self.kill(name, at)

    def kill(self, name: str, at: int = 0) -> None:
        """The process is gone; its session and its transaction time out."""
        worker, self._running[name, at] = self._running[name, at], None
        if worker is not None:
            worker.die()
        if group := self.broker.groups.get(group_of(name)):
            group.expire()
        self.broker.time_out_transactions()

    def run(self, order: Sequence[str] = CONSUMERS) -> Bench:
        """Until everything is through."""
        for _ in range(3000):
            self.turn(order)
            if self.quiet():
                return self
        raise AssertionError(f"it does not come to an end; {self.happened}")

    def quiet(self) -> bool:
        """Whether every record of every stage's input is behind a committed position, and none
        waits.
        """
        label = self.broker.groups.get(group_of("label"))
        if label and any(waiting.decode(position.note) for position in label.positions.values()):
            return False
        return all(
            not any(record.readable for record in self.broker.logs[source][position:])
            for name in CONSUMERS
            for source, position in self.positions(name).items()
        )

    def positions(self, name: str) -> dict[TopicPartition, int]:
        topic = STAGES[name].input
        sources = [source for source in self.broker.logs if source.topic == topic]
        if STAGES[name].into_database:
            # asked after every turn: an engine of SQLAlchemy's would take most of the time
            with closing(sqlite3.connect(self.home / "tidegate.db")) as database:
                stored = {
                    TopicPartition(topic, partition): offset
                    for topic, partition, offset in database.execute(
                        "SELECT topic, partition, next_offset FROM offsets"
                    )
                }
            return {source: stored.get(source, 0) for source in sources}
        group = self.broker.groups.get(group_of(name))
        return {
            source: group.positions.get(source, Position(0)).offset if group else 0
            for source in sources
        }

    @contextmanager
    def read(self) -> Iterator[Any]:
        database = open_database(self.database, "read")
        with closing(database), database.engine.connect() as connection:
            yield connection

    def rows(self) -> list[Any]:
        """All rows."""
        with self.read() as connection:
            return list(connection.execute(select(transactions).order_by(transactions.c.seq)))

    def dead(self) -> list[DeadLetter]:
        """The dead letters, one of each identity."""
        found: dict[str, DeadLetter] = {}
        for source, offset, record in self.broker.committed_records(DLQ):
            batch = Batch(
                source, [offset], [record.key], [record.value], [record.timestamp], [record.headers]
            )
            letter = dead_letters(batch)[0]
            found.setdefault(letter.identity, letter)
        return list(found.values())

    def digests(self, name: str) -> dict[TopicPartition, str]:
        """The states after a restart that crashes nowhere."""
        self._faults.clear()
        for at in range(self.workers.get(name, 1)):
            self.kill(name, at)
        worker = self.start(name)
        for _ in range(10):
            worker.runner.run_once()
        found = worker.runner.digests()
        worker.runner.close()
        return found

    def fold(self, name: str, source: TopicPartition) -> str:
        """The digest of a fold of the log by this thread, record by record, in the recorded
        order.
        """
        stage, _ = self.stage(name)
        pairs = sorted(self._pairs.get(source, ()))
        state, side = stage.new_state(source.partition, self.topics[source.topic]), 0
        for record in records_of(self.broker, source):
            for pair in [pair for pair in pairs if pair.offset == record.offsets[0]]:
                labels = TopicPartition(stage.side or "", 0)
                for label in records_of(self.broker, labels):
                    if side <= label.offsets[0] < pair.side:
                        _apply(stage.absorb, state, label)
                side = pair.side
            _apply(stage.process, state, record)
        return str(state.digest())

    def close(self) -> None:
        for worker in self._running.values():
            if worker is not None:
                worker.die()

    def _remember(self) -> None:
        """Notes forget what two snapshots hold; the fold needs all."""
        for name in STATEFUL:
            if group := self.broker.groups.get(group_of(name)):
                for source, stored in group.positions.items():
                    note = committed.restored(source.topic, stored).note
                    self._pairs.setdefault(source, set()).update(input_order.decode(note))

    def _hook(self, name: str, done: bool) -> None:
        self.calls += 1
        kind = self._faults.pop(self.calls, None)
        if kind is None:
            return
        self.happened.append(f"{kind} {'after' if done else 'before'} {name}")
        if kind == "crash":
            raise Crash(name)
        if kind == "expire":
            self.broker.expire_members()
        if kind == "rebuild" and name in _TRANSACTIONAL:
            raise Aborted(f"{name} timed out", rebuild=True)
        if kind == "abort" and name in ("produce", "send_offsets"):
            raise Aborted(f"{name} asks for an abort")
        if kind == "away" and name.startswith("sql."):
            raise Retry("the database is away")


def _apply(step: Callable[[Any, Batch], object], state: State, record: Batch) -> None:
    state.begin()
    step(state, record)
    state.commit()


@cache
def _migrated() -> Path:
    """An empty database of the newest schema, made once."""
    return made_once("schema", lambda folder: migrate(f"sqlite:///{folder}/empty.db")) / "empty.db"
