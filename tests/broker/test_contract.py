"""What both brokers promise."""

from __future__ import annotations

import pytest

from tests.broker.conftest import Bench
from tests.broker.reading import put, tail, take, values
from tests.support import eventually
from tidegate.broker.records import TopicPartition
from tidegate.errors import ConfigError, Fenced


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


def test_a_reader_without_a_group_begins_where_the_log_does(bench: Bench) -> None:
    topic = bench.topic()
    producer = bench.broker.transactional_producer(bench.name())
    put(producer, topic, b"1", b"2", b"3")
    bench.expire(TopicPartition(topic, 0), 1)
    consumer, _ = tail(bench, topic)
    assert values(take(consumer, 2)) == [b"2", b"3"]
    assert consumer.out_of_range() == set()
    producer.close()
