"""Where a learner goes on that has not published any weights yet."""

from __future__ import annotations

from model.bundles.published import WeightsSink
from tests.stream.crash import Clock, Inline
from tests.stream.test_runner import TOPICS, outputs, send, until_idle
from tests.stream.toy import CopyStage
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.memory.consumer import MemoryConsumer
from tidegate.pipeline import MODELS, group_of
from tidegate.stream.runner import Runner


def test_a_group_that_forgets_a_learner_without_weights_finds_it_where_it_was() -> None:
    """As after a restart of the broker before the first label: it ended with 78, for good."""
    broker, clock = MemoryBroker({**TOPICS, MODELS: 1}), Clock()
    consumer = broker.consumer(group_of("learn"))
    sink = WeightsSink(broker, consumer, "bundle", instance="0", profile=b"0123abcd", clock=clock)
    run = Runner(
        CopyStage(),
        broker,
        consumer,
        sink,
        snapshots=None,
        clock=clock,
        executor=Inline(),
    )
    until_idle(run)
    assert isinstance(consumer, MemoryConsumer)
    assert consumer.group is not None
    for name in (b"1:1", b"1:2"):
        consumer.group.expire()
        until_idle(run)
        send(broker, name)
        until_idle(run)
    assert len(outputs(broker)) == 2
    run.close()
