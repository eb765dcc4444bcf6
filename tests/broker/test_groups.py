"""What both brokers promise of groups: positions, rebalances, and what is out of a log's range."""

from __future__ import annotations

import pytest

from tests.broker.conftest import Bench
from tests.broker.reading import Member, put, read, tail, take, values
from tests.support import eventually
from tidegate.broker.records import Position, TopicPartition
from tidegate.errors import Aborted, Broken, Fenced, Retry


def test_positions_and_notes_are_committed_with_the_transaction(bench: Bench) -> None:
    topic, group = bench.topic(), bench.name()
    producer, member, source = (
        bench.broker.transactional_producer(bench.name()),
        Member(bench, group, topic),
        TopicPartition(topic, 0),
    )
    put(producer, topic, b"1", b"2")
    read(member, 2)
    assert member.consumer.committed([source]) == {}
    producer.begin()
    producer.send_offsets(member.consumer, {source: Position(1, "lost")})
    producer.abort()
    assert member.consumer.committed([source]) == {}
    note = "12:3+4:5" * 500
    member.write(producer, note)
    assert member.consumer.committed([source]) == {source: Position(2, note)}
    producer.close()


def test_a_rebalance_hands_over_without_loss_and_refuses_the_stale_member(bench: Bench) -> None:
    topic, group = bench.topic(2), bench.name()
    writer, first = bench.broker.transactional_producer(bench.name()), Member(bench, group, topic)
    writer.begin()
    writer.produce(topic, [b"%d" % i for i in range(10)], [b"%d" % i for i in range(10)])
    writer.commit()
    read(first, 10)
    second = Member(bench, group, topic)

    def shared() -> bool:
        first.poll()
        second.poll()
        return len(first.held) == len(second.held) == 1

    first.batches = []
    eventually(shared, 20)
    assert first.revocations == 1
    again = {
        value for member in (first, second) for batch in member.batches for value in batch.values
    }

    def all_read() -> bool:
        shared()
        again.update(
            value
            for member in (first, second)
            for batch in member.batches
            for value in batch.values
        )
        return len(again) == 10

    eventually(all_read)
    writer.close()


def test_a_zombie_cannot_commit_positions(bench: Bench) -> None:
    """A second process with the same static name takes the partitions over (KIP-345)."""
    topic, group, instance = bench.topic(), bench.name(), bench.name()
    writer = bench.broker.transactional_producer(bench.name())
    put(writer, topic, b"1")
    old = Member(bench, group, topic, instance)
    read(old, 1)
    new = Member(bench, group, topic, instance)
    read(new, 1)
    with pytest.raises((Fenced, Aborted)):
        old.write(writer)
    assert new.consumer.committed(new.held) == {}
    writer.close()
    writer = bench.broker.transactional_producer(bench.name())
    new.write(writer)
    assert new.consumer.committed(new.held) == {new.held[0]: Position(new.batches[0].next_offset)}
    writer.close()


def test_what_a_producer_leaves_open_holds_others_up_until_the_next_one_of_its_id(
    bench: Bench,
) -> None:
    """Its group's positions, and the readers of its outputs, whoever has the partitions now."""
    topic, out, group, name = bench.topic(), bench.topic(), bench.name(), bench.name()
    other = bench.broker.transactional_producer(bench.name())
    put(other, topic, b"1")
    old = Member(bench, group, topic)
    read(old, 1)
    left = bench.broker.transactional_producer(name)
    left.begin()
    left.produce(out, [b"k"], [b"lost"])
    left.send_offsets(old.consumer, {TopicPartition(topic, 0): Position(1)})
    reader, source = tail(bench, out)
    eventually(lambda: reader.poll(10, 0.05) or (reader.end(source) or 0) >= 1)
    left.close()
    put(other, out, b"kept")
    take(reader, 0)
    with pytest.raises(Retry):
        old.consumer.committed(old.held)
    assert bench.watcher(group).committed(old.held) == {}, "from outside one sees what was before"
    bench.broker.transactional_producer(name).close()
    assert values(take(reader, 1)) == [b"kept"]
    assert old.consumer.committed(old.held) == {}
    other.close()


def test_a_member_whose_name_another_took_is_told_and_closes(bench: Bench) -> None:
    topic, group, instance = bench.topic(), bench.name(), bench.name()
    writer = bench.broker.transactional_producer(bench.name())
    put(writer, topic, b"1")
    old = Member(bench, group, topic, instance)
    read(old, 1)
    read(Member(bench, group, topic, instance), 1)

    def told() -> bool:
        try:
            old.poll()
        except (Broken, Fenced):
            return True
        return False

    eventually(told, 30)
    writer.close()


def test_a_partition_without_a_start_is_assigned_paused(bench: Bench) -> None:
    topic = bench.topic()
    producer, consumer = (
        bench.broker.transactional_producer(bench.name()),
        bench.consumer(bench.name()),
    )
    put(producer, topic, b"1", b"2")
    held: list[TopicPartition] = []

    def on_assign(sources: list[TopicPartition]) -> dict[TopicPartition, int]:
        held.extend(sources)
        return {}

    consumer.subscribe(topic, on_assign, lambda _: None)
    eventually(lambda: consumer.poll(10, 0.02) or held, 20)
    take(consumer, 0)
    consumer.seek(held[0], 1)
    consumer.resume(held)
    assert values(take(consumer, 1)) == [b"2"]
    producer.close()


def test_an_offset_that_the_log_does_not_have_is_told_and_brings_nothing(bench: Bench) -> None:
    """Too low after retention, too high after the log was cut short; never begun elsewhere."""
    topic = bench.topic()
    producer, member = (
        bench.broker.transactional_producer(bench.name()),
        Member(bench, bench.name(), topic),
    )
    source = TopicPartition(topic, 0)
    put(producer, topic, b"1", b"2", b"3")
    read(member, 3)
    assert member.consumer.out_of_range() == set()
    bench.expire(source, 2)
    assert member.consumer.bounds(source)[0] == 2
    for offset in (1, 99):
        member.batches = []
        member.consumer.seek(source, offset)

        def told() -> set[TopicPartition]:
            member.poll()
            return member.consumer.out_of_range()

        assert eventually(told) == {source}
        member.poll()
        assert member.batches == []
    member.consumer.seek(source, 2)
    assert values(take(member.consumer, 1)) == [b"3"]
    producer.close()


def test_who_was_out_of_range_goes_on_and_its_neighbours_stay_as_they_were(bench: Bench) -> None:
    topic = bench.topic(3)
    producer = bench.broker.transactional_producer(bench.name())
    keys = [b"%d" % i for i in range(30)]
    sources = [TopicPartition(topic, number) for number in range(3)]

    def put_all(value: bytes) -> None:
        producer.begin()
        producer.produce(topic, keys, [value] * len(keys))
        producer.commit()

    put_all(b"old")
    member = Member(bench, bench.name(), topic)
    read(member, 30)
    counts = {batch.source: len(batch) for batch in member.batches}
    lost, paused, other = sources
    member.consumer.pause([paused])
    bench.expire(lost, 1)
    member.consumer.seek(lost, 0)
    eventually(lambda: member.poll() or member.consumer.out_of_range())
    member.batches = []
    member.consumer.seek(lost, counts[lost] + 1)
    put_all(b"new")
    read(member, counts[lost] + counts[other])
    assert {batch.source for batch in member.batches} == {lost, other}
    assert {value for batch in member.batches for value in batch.values} == {b"new"}
    member.consumer.resume([paused])
    read(member, 30)
    assert set(values(member.batches)) == {b"new"}
    producer.close()
