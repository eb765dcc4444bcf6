"""Whether what was recorded is through: marks that follow the stages' positions."""

from __future__ import annotations

from tests.stream.crash import Clock
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.memory.consumer import MemoryConsumer
from tidegate.broker.records import Position, TopicPartition
from tidegate.errors import Retry
from tidegate.pipeline import FEATURES, RAW, SCORED, group_of
from tidegate.status.drained import Drained

STEPS = [("preprocess", RAW), ("score", FEATURES)]
SECOND_US = 1_000_000


class System:
    """Two stages whose progress a test sets, and a database."""

    def __init__(self) -> None:
        self.broker = MemoryBroker({RAW: 1, FEATURES: 1, SCORED: 1})
        self.rows: dict[TopicPartition, int] = {}
        self.clock = Clock(step=0)
        self.drained = Drained(self.broker, STEPS, SCORED, lambda: self.rows)

    def put(self, topic: str) -> None:
        self.broker.append(topic, b"k", b"v", None, None)

    def commit(self, stage: str, topic: str, offset: int, output: str = "") -> None:
        """A stage's transaction: an output, and its position."""
        consumer = self.broker.consumer(group_of(stage))
        consumer.subscribe(topic, lambda sources: dict.fromkeys(sources, 0), lambda _: None)
        consumer.poll(0, 0)
        producer = self.broker.transactional_producer(stage)
        producer.begin()
        if output:
            producer.produce(output, [b"k"], [b"v"])
        producer.send_offsets(consumer, {TopicPartition(topic, 0): Position(offset)})
        producer.commit()
        consumer.close()

    def ask(self, time_us: int) -> bool:
        self.clock.now += SECOND_US
        return self.drained(time_us, self.clock.now)


def test_a_mark_is_followed_through_every_stage() -> None:
    system = System()
    recorded = system.clock.now
    system.put(RAW)
    assert not system.ask(recorded), "preprocess has not read it"
    system.commit("preprocess", RAW, 1, FEATURES)
    assert not system.ask(recorded), "the scorer has not read what came of it"
    system.commit("score", FEATURES, 1, SCORED)
    system.put(RAW)
    assert not system.ask(recorded), "it is no row yet"
    system.rows[TopicPartition(SCORED, 0)] = 1
    assert system.ask(recorded), "what came later does not matter"
    assert not system.ask(system.clock.now + 2 * SECOND_US), "that time is not over"


def test_an_idle_pipeline_is_drained_although_its_logs_end_with_marks_of_transactions() -> None:
    system = System()
    assert system.ask(system.clock.now), "nothing was ever recorded"
    system.put(RAW)
    system.commit("preprocess", RAW, 1, FEATURES)
    system.commit("score", FEATURES, 1, SCORED)
    system.rows[TopicPartition(SCORED, 0)] = 1
    ends = [len(system.broker.logs[TopicPartition(topic, 0)]) for topic in (FEATURES, SCORED)]
    assert max(ends) > 1, "a marker lies behind each record"
    assert system.ask(system.clock.now)


def test_what_is_not_known_is_not_drained() -> None:
    system = System()

    def away() -> dict[TopicPartition, int]:
        raise Retry("the database is away")

    drained = Drained(system.broker, STEPS, SCORED, away)
    system.put(SCORED)
    assert not drained(system.clock.now, system.clock.now)


def test_a_topic_that_cannot_be_asked_for_the_next_mark_leaves_the_mark_where_it_was() -> None:
    system = System()
    recorded = system.clock.now
    system.put(RAW)
    assert not system.ask(recorded)
    system.commit("preprocess", RAW, 1, FEATURES)

    def away(name: str, done: bool) -> None:
        if name == "bounds" and not done:
            raise Retry("the broker is away")

    system.broker.hook = away
    assert not system.ask(recorded), "preprocess is past its mark, and the next one is not known"
    system.broker.hook = lambda _name, _done: None
    system.commit("score", FEATURES, 1, SCORED)
    system.rows[TopicPartition(SCORED, 0)] = 1
    assert system.ask(recorded)


def test_a_client_that_never_finds_its_broker_again_is_replaced() -> None:
    system = System()
    stuck: set[int] = set()
    made = system.broker.consumer

    def consumer(group: str | None, *, instance: str | None = None) -> MemoryConsumer:
        client = made(group, instance=instance)
        bounds, number = client.bounds, len(stuck)
        stuck.add(number)

        def answer(source: TopicPartition) -> tuple[int, int]:
            if number == 0:
                raise Retry("this client has lost its broker")
            return bounds(source)

        client.bounds = answer  # type: ignore[method-assign] # only the first client is stuck
        return client

    system.broker.consumer = consumer  # type: ignore[method-assign] # see above
    assert not system.ask(system.clock.now)
    assert system.ask(system.clock.now)
