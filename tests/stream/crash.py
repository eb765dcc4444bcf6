"""Runs a stage on the broker in memory, crashing where it is told, and says what must hold
afterwards.

Any stage can be put in: give a `Case` with its factory, topics and input records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from tests.stream.hooked_snapshots import HookedSnapshots
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.errors import Aborted
from tidegate.pipeline import DLQ, group_of
from tidegate.stream import input_order
from tidegate.stream.input_order import Pair
from tidegate.stream.runner import Runner
from tidegate.stream.sink import KafkaSink
from tidegate.stream.stage import Stage, State

T = TypeVar("T")
P = ParamSpec("P")


class Crash(BaseException):
    """The process dies here."""


class Clock:
    """A clock in us that goes on by `step` at every look."""

    def __init__(self, step: int = 20_000) -> None:
        self.now, self.step = 1_000_000, step

    def __call__(self) -> int:
        self.now += self.step
        return self.now


class Inline(Executor):
    """Does at once what another thread would do, so that a crash inside is a crash of the run."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@dataclass
class Record:
    """One record to be sent to the input (or, if `side`, to the side topic) at its turn."""

    key: bytes
    value: bytes
    side: bool = False


@dataclass
class Case:
    """A stage, and what is sent to it. `partitions` are those of the input."""

    stage: Callable[[], Stage[Any]]
    records: Sequence[Record]
    topics: dict[str, int]
    snapshots: str
    batch: int = 3
    snapshot_every: int = 4
    workers: int = 1
    damaged: bool = False
    crashes: list[tuple[int, str]] = field(default_factory=list)
    """Number of the I/O call (over the whole run; before and after are two) and kind: crash,
    rebuild, abort, expire.
    """
    joins: list[int] = field(default_factory=list)
    """Turns at which a worker leaves and comes back."""


class Run:
    """Sends, runs and crashes until everything is committed.

    No transaction times out: a worker that crashed or gave its producer up ends what it left open
    by itself, or the run does not come to an end.
    """

    def __init__(self, case: Case) -> None:
        self.case, self.calls = case, 0
        self.broker = MemoryBroker(case.topics)
        self.broker.hook = self._hook
        self.stage = case.stage()
        self._faults = dict(case.crashes)
        self._clock = Clock()
        self._workers: list[Runner | None] = [None] * case.workers
        self._pairs: dict[TopicPartition, set[Pair]] = {}
        self.happened: list[str] = []

    def go(self) -> Run:
        """Until everything sent is committed. Fails when it does not come to an end."""
        to_send, turn = list(self.case.records), 0
        while to_send or not self._done():
            turn += 1
            assert turn < 2000 + 50 * len(self.case.records), "it does not come to an end"
            for record in to_send[:2]:
                self._send(record)
            del to_send[:2]
            if turn in self.case.joins:
                self._leave(turn % self.case.workers)
            for at in range(self.case.workers):
                self._turn(at)
            self._remember()
        return self

    def _remember(self) -> None:
        """Notes forget what two snapshots hold; the check does not."""
        if self.stage.snapshot_tag and group_of(self.stage.name) in self.broker.groups:
            for source, position in self.positions().items():
                self._pairs.setdefault(source, set()).update(input_order.decode(position.note))

    def _turn(self, at: int) -> None:
        try:
            worker = self._workers[at]
            if worker is None:
                worker = self._workers[at] = self._start(at)
            worker.run_once()
        except Crash:
            self._workers[at] = None
            self.broker.expire_members()

    def _start(self, at: int) -> Runner:
        stage = self.case.stage()
        consumer = self.broker.consumer(group_of(stage.name))
        sink = KafkaSink(
            self.broker,
            consumer,
            stage.name,
            instance=str(at),
            profile=b"0123abcd",
            clock=self._clock,
        )
        snapshots = HookedSnapshots(self.case.snapshots, self.broker, damaged=self.case.damaged)
        return Runner(
            stage,
            self.broker,
            consumer,
            sink,
            snapshots=snapshots,
            clock=self._clock,
            monotonic=self._clock,
            batch=self.case.batch,
            snapshot_every=self.case.snapshot_every,
            side_every=0.0,
            executor=Inline(),
        )

    def _leave(self, at: int) -> None:
        worker, self._workers[at] = self._workers[at], None
        if worker is not None:
            worker.close()

    def _hook(self, name: str, done: bool) -> None:
        self.calls += 1
        kind = self._faults.pop(self.calls, None)
        if kind:
            self.happened.append(f"{kind} {'after' if done else 'before'} {name}")
        if kind == "crash":
            raise Crash(name)
        if kind == "expire":
            self.broker.expire_members()
        transactional = name in {
            "begin",
            "produce",
            "send_offsets",
            "commit",
            "abort",
            "init_transactions",
        }
        if kind == "rebuild" and transactional:
            raise Aborted(f"{name} timed out", rebuild=True)
        if kind == "abort" and name in {"produce", "send_offsets"}:
            raise Aborted(f"{name} asks for an abort")

    def _send(self, record: Record) -> None:
        topic = self.stage.side if record.side else self.stage.input
        assert topic
        self.broker.append(topic, record.key, record.value, None, None)

    def sources(self) -> list[TopicPartition]:
        return [source for source in sorted(self.broker.logs) if source.topic == self.stage.input]

    def positions(self) -> dict[TopicPartition, Position]:
        """What is committed, of any worker's group."""
        group = self.broker.groups[group_of(self.stage.name)]
        return {source: group.positions.get(source, Position(0)) for source in self.sources()}

    def _done(self) -> bool:
        if group_of(self.stage.name) not in self.broker.groups:
            return False
        return all(
            position.offset == len(self.broker.logs[source])
            for source, position in self.positions().items()
        ) and not any(self.held_back())

    def held_back(self) -> list[TopicPartition]:
        """The logs that an open transaction hides the end of."""
        logs = self.broker.logs
        return [source for source in logs if self.broker.stable(source) < len(logs[source])]

    def read(self, topic: str) -> list[bytes | None]:
        """All committed values."""
        return [record.value for _, _, record in self.broker.committed_records(topic)]

    def dead(self) -> list[tuple[bytes | None, str]]:
        """Original value and reason of each dead letter."""
        return [
            (record.value, dict(record.headers or [])["tidegate-reason"].decode())
            for _, _, record in self.broker.committed_records(DLQ)
        ]

    def digests(self) -> dict[TopicPartition, str]:
        """What the state is after a restart that crashes nowhere."""
        self._faults.clear()
        for at in range(self.case.workers):
            self._leave(at)
        worker = self._start(0)
        for _ in range(10):
            worker.run_once()
        found = worker.digests()
        worker.close()
        return found

    def fold(self, source: TopicPartition, poison: Callable[[bytes | None], bool]) -> str:
        """The digest of a fold of the log by this thread, record by record, side records in the
        recorded order.
        """
        pairs = sorted(self._pairs.get(source, ()))
        state, side = self.stage.new_state(source.partition, len(self.sources())), 0
        for offset, record in enumerate(self.broker.logs[source]):
            for pair in [pair for pair in pairs if pair.offset == offset]:
                self._apply(
                    self.stage.absorb,
                    state,
                    TopicPartition(self.stage.side or "", 0),
                    range(side, pair.side),
                )
                side = pair.side
            if not poison(record.value):
                self._apply(self.stage.process, state, source, range(offset, offset + 1))
        return str(state.digest())

    def _apply(
        self, step: Callable[[Any, Batch], object], state: State, source: TopicPartition, at: range
    ) -> None:
        records = [self.broker.logs[source][offset] for offset in at]
        if records:
            state.begin()
            step(
                state,
                Batch(
                    source,
                    list(at),
                    [r.key for r in records],
                    [r.value for r in records],
                    [r.timestamp for r in records],
                    [r.headers for r in records],
                ),
            )
            state.commit()
