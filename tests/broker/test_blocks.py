"""A consumer that takes blocks apart: addresses, what waits in it, and how fast it reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.messages.framing import column
from tidegate.broker import addresses, committed
from tidegate.broker.addresses import address_of
from tidegate.broker.blocks import BlockConsumer
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.memory.consumer import MemoryConsumer
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.messages.frame_column import FrameColumn
from tidegate.pipeline import FEATURES, RAW

SOURCE, OTHER = TopicPartition(FEATURES, 0), TopicPartition(FEATURES, 1)
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=12)


class Counting(MemoryConsumer):
    """Counts how often it is polled, and for how many messages."""

    polls = 0
    asked = 0

    def poll(self, max_records: int, timeout: float) -> list[Batch]:
        self.polls += 1
        self.asked += max_records
        return super().poll(max_records, timeout)


def filled(
    *sizes: int, source: TopicPartition = SOURCE, broker: MemoryBroker | None = None
) -> MemoryBroker:
    """A log of blocks of these sizes; the frame at address a has the id `a`."""
    broker = broker or MemoryBroker({FEATURES: 2, RAW: 1})
    for size in sizes:
        first = address_of(FEATURES, len(broker.logs[source]))
        names = [str(first + index) for index in range(size)]
        broker.append_to(source, None, column(names, payload=0).block(), None, None)
    return broker


def reader(broker: MemoryBroker, start: int = 0, *sources: TopicPartition) -> BlockConsumer:
    consumer = BlockConsumer(Counting(broker, None, None))
    consumer.assign(dict.fromkeys(sources or [SOURCE], start))
    return consumer


def ids(batch: Batch) -> list[int]:
    """The addresses that the frames of a batch were made at."""
    assert isinstance(batch.values, FrameColumn)
    return [int(name) for name in batch.values.ids]


def everything(consumer: BlockConsumer, most: int) -> list[int]:
    """All addresses, by polls of at most so many records."""
    found: list[int] = []
    while batches := consumer.poll(most, 0.0):
        assert sum(map(len, batches)) <= most
        for batch in batches:
            assert ids(batch) == batch.offsets
            found += batch.offsets
            assert consumer.position(batch.source) == batch.next_offset
    return found


@given(SIZES, st.integers(1, 12), st.data())
def test_every_transaction_comes_once_from_any_place_on(
    sizes: list[int], most: int, data: st.DataObject
) -> None:
    broker = filled(*sizes)
    whole = [address_of(FEATURES, o, i) for o, size in enumerate(sizes) for i in range(size)]
    consumer = reader(broker)
    assert everything(consumer, most) == whole
    assert consumer.position(SOURCE) == consumer.bounds(SOURCE)[1] == len(sizes) << 12
    start = data.draw(st.sampled_from(whole))
    consumer.seek(SOURCE, start)
    assert consumer.position(SOURCE) == start
    assert everything(consumer, most) == [at for at in whole if at >= start]
    assert everything(reader(broker, start), most) == [at for at in whole if at >= start]


@given(SIZES, st.integers(1, 12))
def test_a_batch_that_is_cut_goes_on_at_the_next_transaction(sizes: list[int], cut: int) -> None:
    (batch,) = reader(filled(*sizes)).poll(1000, 0.0)
    cut = min(cut, len(batch))
    behind = batch.offsets[cut] if cut < len(batch) else len(sizes) << 12
    assert batch.slice(0, cut).next_offset == behind
    assert batch.take(range(cut)).next_offset == len(sizes) << 12


def test_small_blocks_after_large_ones_are_read_as_fast_as_they_come() -> None:
    """A poll gathers what there is up to its limit, whatever the blocks before were like: nothing
    is estimated, and nothing that was read is read again.
    """
    small = [1 + at % 20 for at in range(2000)]
    broker = filled(4096, 4096, 4096, *small)
    consumer = reader(broker)
    inner = consumer.inner
    assert isinstance(inner, Counting)
    rows = 0
    while rows < 3 * 4096:
        rows += sum(map(len, consumer.poll(4000, 0.0)))
    inner.polls = polls = 0
    while batches := consumer.poll(4000, 0.0):
        polls += 1
        rows += sum(map(len, batches))
    assert rows == 3 * 4096 + sum(small)
    assert polls <= sum(small) / 4000 + 2, "each is full"
    assert inner.polls <= len(small) / 16 + 3 * polls, "16 messages at a time"


def test_what_waits_here_does_not_grow_and_the_group_is_still_heard() -> None:
    broker = filled(*[4096] * 40)
    consumer = reader(broker)
    inner = consumer.inner
    assert isinstance(inner, Counting)
    for _ in range(100):
        assert sum(map(len, consumer.poll(100, 0.0))) == 100
    assert inner.position(SOURCE) in (3, 4), "the third is read, and hardly more"
    assert inner.polls < 100


def test_pausing_keeps_what_was_read_and_seeking_drops_it() -> None:
    broker = filled(5, 5, broker=filled(3, 3, source=OTHER))
    consumer = reader(broker, 0, SOURCE, OTHER)
    (batch,) = consumer.poll(2, 0.0)
    assert batch.offsets == [0, 1]
    consumer.pause([SOURCE])
    assert {b.source for b in consumer.poll(100, 0.0)} == {OTHER}
    assert consumer.position(SOURCE) == 2
    consumer.resume([SOURCE])
    assert [b.offsets[0] for b in consumer.poll(100, 0.0)] == [2]
    consumer.seek(SOURCE, 4)
    (batch,) = consumer.poll(2, 0.0)
    assert batch.offsets == [4, 4096]
    consumer.seek(SOURCE, 1)
    assert consumer.poll(100, 0.0)[0].offsets[0] == 1
    consumer.assign({OTHER: 4097})
    assert [b.offsets for b in consumer.poll(100, 0.0)] == [[4097, 4098]]


def test_partitions_take_turns() -> None:
    broker = filled(4096, broker=filled(4096, source=OTHER))
    consumer = reader(broker, 0, SOURCE, OTHER)
    seen = [consumer.poll(40, 0.0)[0].source for _ in range(6)]
    assert seen[-4:] in ([SOURCE, OTHER] * 2, [OTHER, SOURCE] * 2)


def test_a_rebalance_takes_away_what_waits_and_positions_are_messages() -> None:
    broker = filled(6, 6)
    consumer = broker.consumer("g")
    starts: dict[TopicPartition, int] = {SOURCE: 2}
    consumer.subscribe(FEATURES, lambda _: starts, lambda _: None)
    (batch,) = consumer.poll(3, 0.0)
    assert batch.offsets == [2, 3, 4]
    producer = broker.transactional_producer("t")
    producer.begin()
    producer.send_offsets(consumer, {SOURCE: Position(batch.next_offset, "1:2")})
    producer.commit()
    assert broker.groups["g"].positions == {SOURCE: Position(0, "block:5;1:2")}
    assert consumer.committed([SOURCE]) == {SOURCE: Position(5, "1:2")}
    broker.consumer("g").subscribe(FEATURES, lambda _: {}, lambda _: None)
    starts[SOURCE] = consumer.committed([SOURCE])[SOURCE].offset
    broker.expire_members()
    found = [b.offsets for _ in range(3) for b in consumer.poll(100, 0.0)]
    assert found == [[5, *range(4096, 4102)]]


def test_frames_of_the_version_before_and_what_is_no_frame_come_one_by_one() -> None:
    broker = filled(2)
    for value in (b"TGF1 an old frame", None, b"no frame", b"TGF1blocks.1 and cut"):
        broker.append_to(SOURCE, b"key", value, [("a", b"b")], None)
    filled(2, broker=broker)
    consumer = reader(broker)
    batches = [b for _ in range(3) for b in consumer.poll(100, 0.0)]
    assert [b.offsets for b in batches] == [
        [0, 1],
        [4096, 8192, 12288, 16384],
        [20480, 20481],
    ]
    assert batches[1].keys == [b"key"] * 4
    assert batches[1].headers == [[("a", b"b")]] * 4
    assert batches[1].next_offset == 20480


def test_other_topics_are_left_alone() -> None:
    broker = filled(1)
    broker.append_to(TopicPartition(RAW, 0), b"k", b"v", None, None)
    consumer = reader(broker, 0, TopicPartition(RAW, 0))
    (batch,) = consumer.poll(10, 0.0)
    assert (batch.offsets, batch.values, batch.next_offset) == ([0], [b"v"], 1)
    position = Position(7, "1:2")
    assert committed.stored(RAW, position) == committed.restored(RAW, position) == position
    assert (addresses.shown(RAW, 7), addresses.shown(FEATURES, 7)) == ("7", "0/7")


@pytest.mark.parametrize(
    ("note", "now"),
    [
        ("", ""),
        ("7:2+3:4", f"{7 << 12}:2+{3 << 12}:4"),
        ("sources:0:5:9", "sources:0:5:9"),
        ("waiting:3:abc", "waiting:3:abc"),
    ],
)
def test_positions_of_the_version_before_become_addresses(note: str, now: str) -> None:
    assert committed.restored(FEATURES, Position(9, note)) == Position(9 << 12, now)


@given(st.integers(0, 1 << 50), st.integers(0, 4095), st.sampled_from(["", "1:2", "block:3;"]))
def test_positions_come_back_as_they_were_stored(offset: int, index: int, note: str) -> None:
    position = Position(address_of(FEATURES, offset, index), note)
    stored = committed.stored(FEATURES, position)
    assert stored.offset == offset
    assert committed.restored(FEATURES, stored) == position
