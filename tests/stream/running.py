"""A runner of a toy stage in memory, and what goes in and comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.stream.crash import Clock, Inline
from tests.stream.toy import CopyStage, CountStage
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.ports import Consumer
from tidegate.clock import monotonic_us
from tidegate.pipeline import DLQ, group_of
from tidegate.stream.runner import Runner
from tidegate.stream.sink import KafkaSink
from tidegate.stream.skips import Skips
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.stage import Stage

TOPICS = {"in": 1, "side": 1, "out": 1, DLQ: 1}


def member(
    stage: Stage[Any], broker: MemoryBroker, clock: Callable[[], int]
) -> tuple[Consumer, KafkaSink]:
    """A consumer of the stage's group, and the sink that commits its positions."""
    consumer = broker.consumer(group_of(stage.name))
    sink = KafkaSink(broker, consumer, "toy", instance="0", profile=b"0123abcd", clock=clock)
    return consumer, sink


def runner(
    broker: MemoryBroker,
    stage: Stage[object] | CountStage | CopyStage,
    url: str = "",
    *,
    batch: int = 4000,
    monotonic: Callable[[], int] = monotonic_us,
    skips: Skips | None = None,
) -> Runner:
    clock = Clock()
    return Runner(
        stage,
        broker,
        *member(stage, broker, clock),
        snapshots=Snapshots(url) if url else None,
        clock=clock,
        batch=batch,
        snapshot_every=3,
        side_every=0,
        monotonic=monotonic,
        skips=skips,
        executor=Inline(),
    )


def send(broker: MemoryBroker, *values: bytes, topic: str = "in") -> None:
    for value in values:
        broker.append(topic, b"k", value, [("from", b"test")], None)


def send_with(broker: MemoryBroker, key: bytes, *values: bytes) -> None:
    for value in values:
        broker.append("in", key, value, None, None)


def until_idle(run: Runner) -> int:
    return sum(run.run_once() for _ in range(10))


def outputs(broker: MemoryBroker) -> list[bytes]:
    return [
        (record.value or b"").split(b" ")[0] for _, _, record in broker.committed_records("out")
    ]
