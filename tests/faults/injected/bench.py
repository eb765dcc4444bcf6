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

from sqlalchemy import select

from consumers.cases import CasesStage
from consumers.label import LabelStage
from consumers.learn import LearnStage
from consumers.persist import Persist
from consumers.preprocess import PreprocessStage
from consumers.rewinding import checkpoints_of
from consumers.score import ScoreStage
from db.engine import open_database
from db.migrate import migrate
from db.store import Store
from db.tables import transactions
from model.bundles.published import label_history
from tests.blocks import records_of
from tests.faults.bundle import card_bundle
from tests.faults.injected.workers import Worker, fail, sink_of
from tests.shared import made_once
from tests.stream.crash import Clock, Crash, Inline
from tests.stream.hooked_snapshots import HookedSnapshots, new_folder
from tidegate import pipeline
from tidegate.broker import committed
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, Headers, Position, TopicPartition
from tidegate.dead_letters.letters import DeadLetter, dead_letters
from tidegate.messages.documents import Champion, encode
from tidegate.pipeline import CONSUMERS, DLQ, FRAMES, MODELS, RAW, STAGES, group_of
from tidegate.profile import load_profile
from tidegate.stream import input_order, waiting
from tidegate.stream.input_order import Pair
from tidegate.stream.runner import Runner
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.stage import Stage, State

TOPICS = dict.fromkeys(pipeline.TOPICS, 1) | dict.fromkeys((RAW, *FRAMES), 2)


STATEFUL = ("preprocess", "preprocess-2", "persist", "learn")


NOW_MS = 1_790_000_000_000
PROFILE = load_profile("card")


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
        sink = sink_of(
            name,
            self.broker,
            consumer,
            database=self.database,
            bundle=self.bundle.hash,
            instance=str(at),
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
        fail(kind, name, self.broker)


def _apply(step: Callable[[Any, Batch], object], state: State, record: Batch) -> None:
    state.begin()
    step(state, record)
    state.commit()


@cache
def _migrated() -> Path:
    """An empty database of the newest schema, made once."""
    return made_once("schema", lambda folder: migrate(f"sqlite:///{folder}/empty.db")) / "empty.db"
