"""What both brokers promise."""

from __future__ import annotations

import pytest

from tests.broker.conftest import Bench
from tests.support import eventually
from tidegate.broker.ports import Consumer, TransactionalProducer
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.errors import Aborted, Broken, ConfigError, Fenced, Retry


def put(producer: TransactionalProducer, topic: str, *values: bytes) -> None:
    producer.begin()
    producer.produce(topic, [b"k"] * len(values), values)
    producer.commit()


def tail(bench: Bench, topic: str, at: int = 0) -> tuple[Consumer, TopicPartition]:
    consumer, source = bench.consumer(), TopicPartition(topic, 0)
    consumer.assign({source: at})
    return consumer, source


def take(consumer: Consumer, count: int, most: int = 100) -> list[Batch]:
    """Batches until `count` records are there, then one poll more that must bring nothing."""
    batches: list[Batch] = []

    def enough() -> bool:
        batches.extend(consumer.poll(most, 0.05))
        return sum(map(len, batches)) >= count

    eventually(enough)
    batches += consumer.poll(most, 0.1)
    assert sum(map(len, batches)) == count
    return batches


def values(batches: list[Batch]) -> list[bytes | None]:
    return [value for batch in batches for value in batch.values]


def test_a_transaction_is_read_only_after_its_commit(bench: Bench) -> None:
    topic = bench.topic()
    producer, (consumer, _) = bench.broker.transactional_producer(bench.name()), tail(bench, topic)
    producer.begin()
    producer.produce(topic, [b"k"], [b"1"])
    take(consumer, 0)
    producer.commit()
    assert values(take(consumer, 1)) == [b"1"]
    producer.close()


def test_aborted_records_are_never_read_and_positions_pass_them_and_the_markers(
    bench: Bench,
) -> None:
    topic = bench.topic()
    producer, (consumer, source) = (
        bench.broker.transactional_producer(bench.name()),
        tail(bench, topic),
    )
    producer.begin()
    producer.produce(topic, [b"k"] * 2, [b"bad"] * 2)
    eventually(lambda: consumer.poll(10, 0.05) or (consumer.end(source) or 0) >= 2)
    producer.abort()
    put(producer, topic, b"good")
    assert values(take(consumer, 1)) == [b"good"]
    first, end = bench.consumer().bounds(source)
    assert (first, end) == (0, 5)  # two records, a marker, one record, a marker
    eventually(lambda: consumer.poll(10, 0.05) == [] and consumer.position(source) == end)
    assert consumer.end(source) == end
    producer.close()


def test_the_end_is_reached_however_much_is_taken_at_once(bench: Bench) -> None:
    """Records and the end that lies behind their transaction's marker, all waiting when they are
    asked for.
    """
    topic = bench.topic()
    producer = bench.broker.transactional_producer(bench.name())
    put(producer, topic, b"a", b"b")
    late, source = tail(bench, topic)
    early, _ = tail(bench, topic)
    end = late.bounds(source)[1]
    eventually(lambda: early.poll(10, 0.05) == [] and early.position(source) == end)
    assert values(take(late, 2)) == [b"a", b"b"]
    eventually(lambda: late.poll(10, 0.05) == [] and late.position(source) == end)
    producer.close()


def test_the_offset_of_a_time_is_its_first_record_or_the_end(bench: Bench) -> None:
    topic = bench.topic()
    producer, (consumer, source) = (
        bench.broker.transactional_producer(bench.name()),
        tail(bench, topic),
    )
    assert consumer.offset_at(source, 1) == 0
    put(producer, topic, b"a", b"b")
    put(producer, topic, b"c")
    batches = take(consumer, 3)
    stamped = [
        pair for batch in batches for pair in zip(batch.offsets, batch.timestamps, strict=True)
    ]
    for _, time_ms in stamped:
        first = min(offset for offset, stamp in stamped if stamp >= time_ms)
        found = consumer.offset_at(source, time_ms)
        assert min(offset for offset, _ in stamped if offset >= found) == first
    assert consumer.offset_at(source, 1) == 0
    assert consumer.offset_at(source, stamped[-1][1] + 100_000_000) == consumer.bounds(source)[1]
    producer.close()


def test_order_and_columns_are_kept(bench: Bench) -> None:
    topic = bench.topic()
    producer, (consumer, source) = (
        bench.broker.transactional_producer(bench.name()),
        tail(bench, topic),
    )
    producer.begin()
    producer.produce(
        topic, [b"a", None, b"c"], [b"1", b"2", None], [[("h", b"x"), ("h", b"y")], None, []]
    )
    producer.produce(topic, [b"d"] * 50, [b"%d" % i for i in range(50)])
    producer.commit()
    batches = take(consumer, 53, most=7)
    assert [batch.source for batch in batches] == [source] * len(batches)
    assert [offset for batch in batches for offset in batch.offsets] == list(range(53))
    assert values(batches) == [b"1", b"2", None, *[b"%d" % i for i in range(50)]]
    assert batches[0].keys[:4] == [b"a", None, b"c", b"d"]
    assert batches[0].headers[0] == [("h", b"x"), ("h", b"y")]
    assert not batches[0].headers[1]
    assert all(len(batch) <= 7 and len(batch.timestamps) == len(batch) for batch in batches)
    producer.close()


def test_one_key_lies_in_one_partition(bench: Bench) -> None:
    topic = bench.topic(3)
    producer, consumer = bench.broker.transactional_producer(bench.name()), bench.consumer()
    producer.begin()
    for turn in range(3):
        producer.produce(topic, [b"%d" % key for key in range(20)], [b"%d" % turn] * 20)
    producer.commit()
    consumer.assign(dict.fromkeys(consumer.partitions(topic), 0))
    found = {(key, batch.source) for batch in take(consumer, 60) for key in batch.keys}
    assert len(found) == 20
    assert len({source for _, source in found}) == 3
    producer.close()


def test_a_follower_that_waits_at_the_end_is_handed_what_comes(bench: Bench) -> None:
    topic = bench.topic()
    producer, follower = bench.broker.transactional_producer(bench.name()), bench.follower()
    follower.assign({TopicPartition(topic, 0): 0})
    take(follower, 0)
    put(producer, topic, b"1")
    assert values(take(follower, 1)) == [b"1"]
    put(producer, topic, b"2", b"3")
    assert values(take(follower, 2)) == [b"2", b"3"]
    producer.close()


def test_a_second_producer_of_an_id_fences_the_first(bench: Bench) -> None:
    topic, name = bench.topic(), bench.name()
    first = bench.broker.transactional_producer(name)
    first.begin()
    first.produce(topic, [b"k"], [b"lost"])
    second = bench.broker.transactional_producer(name)
    put(second, topic, b"kept")
    with pytest.raises(Fenced):
        first.commit()
    assert values(take(tail(bench, topic)[0], 1)) == [b"kept"]
    first.close()
    second.close()


class Member:
    """A member that starts where the group stands, and keeps what it reads."""

    def __init__(self, bench: Bench, group: str, topic: str, instance: str | None = None) -> None:
        self.consumer, self.held, self.revocations = (
            bench.consumer(group, instance),
            list[TopicPartition](),
            0,
        )
        self.batches: list[Batch] = []
        self.consumer.subscribe(topic, self._assigned, self._revoked)

    def _assigned(self, sources: list[TopicPartition]) -> dict[TopicPartition, int]:
        self.held = sources
        committed = self.consumer.committed(sources)
        return {
            source: committed[source].offset if source in committed else 0 for source in sources
        }

    def _revoked(self, sources: list[TopicPartition]) -> None:
        self.held = []
        self.revocations += 1

    def poll(self) -> None:
        self.batches += self.consumer.poll(100, 0.02)

    def write(self, producer: TransactionalProducer, note: str = "") -> None:
        """Commit the positions of what was read."""
        positions = {batch.source: Position(batch.next_offset, note) for batch in self.batches}
        producer.begin()
        producer.send_offsets(self.consumer, positions)
        producer.commit()


def read(member: Member, count: int) -> None:
    def enough() -> bool:
        member.poll()
        return sum(map(len, member.batches)) == count

    eventually(enough, 20)


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


def test_partitions_that_are_touched_have_the_marker_of_the_abort_and_nothing_to_read(
    bench: Bench,
) -> None:
    topic = bench.topic(3)
    producer = bench.broker.transactional_producer(bench.name())
    reader = bench.broker.consumer(None)
    sources = reader.partitions(topic)
    producer.begin()
    producer.touch(sources)
    producer.abort()
    eventually(lambda: [reader.bounds(source)[1] for source in sources] == [2, 2, 2])
    put(producer, topic, b"1")
    reader.assign(dict.fromkeys(sources, 0))
    assert values(take(reader, 1)) == [b"1"]
    producer.close()


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


def test_seek_pause_and_resume(bench: Bench) -> None:
    topic = bench.topic()
    producer, (consumer, source) = (
        bench.broker.transactional_producer(bench.name()),
        tail(bench, topic),
    )
    put(producer, topic, b"1", b"2", b"3")
    take(consumer, 3)
    consumer.seek(source, 1)
    assert consumer.position(source) == 1
    assert values(take(consumer, 2)) == [b"2", b"3"]
    consumer.pause([source])
    consumer.seek(source, 0)
    take(consumer, 0)
    consumer.resume([source])
    assert values(take(consumer, 3)) == [b"1", b"2", b"3"]
    producer.close()


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


def test_the_idempotent_producer_reports_each_delivery_once(bench: Bench) -> None:
    topic, producer = bench.topic(), bench.broker.producer()
    reports: list[Exception | None] = []
    for value in (b"1", b"2"):
        producer.produce(topic, b"k", value, reports.append, [("h", value)])
    producer.produce(topic, None, None, reports.append)
    producer.produce_all(topic, [(b"k", b"4"), (None, None)], reports.append)
    assert producer.flush(10) == 0
    eventually(lambda: len(reports) == 5)
    assert reports == [None] * 5
    batches = take(tail(bench, topic)[0], 5)
    assert values(batches) == [b"1", b"2", None, b"4", None]
    assert [batch.headers[0] for batch in batches][:1] == [[("h", b"1")]]
    producer.close()


def test_missing_topics_are_said_to_be_missing(bench: Bench) -> None:
    missing, topic = bench.name(), bench.topic(2)
    with pytest.raises(ConfigError, match="topics apply"):
        bench.consumer().partitions(missing)
    assert bench.broker.topic_ids([missing]) == {}
    assert bench.broker.topic_ids([topic, missing])[topic][1] == 2
    assert bench.broker.cluster_id() == bench.broker.cluster_id() != ""


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


def test_a_reader_without_a_group_begins_where_the_log_does(bench: Bench) -> None:
    topic = bench.topic()
    producer = bench.broker.transactional_producer(bench.name())
    put(producer, topic, b"1", b"2", b"3")
    bench.expire(TopicPartition(topic, 0), 1)
    consumer, _ = tail(bench, topic)
    assert values(take(consumer, 2)) == [b"2", b"3"]
    assert consumer.out_of_range() == set()
    producer.close()
