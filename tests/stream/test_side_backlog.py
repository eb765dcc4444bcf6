"""A backlog of side records: absorbed in pieces, its lag shown, its old part passed over unread."""

from __future__ import annotations

from collections.abc import Generator, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from tests.stream.crash import Clock
from tests.stream.running import TOPICS, runner, send, send_with, until_idle
from tests.stream.toy import KEYS, Counters, CountStage
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.errors import Retry
from tidegate.stream import side_topic
from tidegate.stream.side_topic import MOST, SideLog
from tidegate.stream.stage import Output

WINDOW_MS = 50


class Aged(CountStage):
    """Side records count for 50 ms after the newest input; each absorbed one mixes into the state.

    `absorbed` is how many were handed over before each batch of input.
    """

    def __init__(self) -> None:
        self.absorbed = [0]

    def new_state(self, partition: int, partitions: int) -> Counters:
        return Counters(np.zeros((KEYS + 2, 2), np.int64))

    def load_state(
        self, partition: int, partitions: int, arrays: Mapping[str, np.ndarray]
    ) -> Counters:
        return Counters(arrays["counts"])

    def side_from(self, state: Counters) -> int:
        return max(0, int(state.counts[KEYS + 1, 0]) - WINDOW_MS)

    def absorb(self, state: Counters, batch: Batch) -> None:
        since_ms = self.side_from(state)
        self.absorbed[-1] += len(batch)
        for value, ms in zip(batch.values, batch.timestamps, strict=True):
            if ms >= since_ms:
                state.add(KEYS, int(value or b"0"))
        state.counts[KEYS + 1, 1] = batch.next_offset

    def process(self, state: Counters, batch: Batch) -> Output:
        self.absorbed.append(0)
        state.counts[KEYS + 1, 0] = max(int(state.counts[KEYS + 1, 0]), batch.timestamps[-1])
        return super().process(state, batch)


class Timeless(Aged):
    """The same, but nothing is ever too old."""

    def side_from(self, state: Counters) -> int:
        return 0


def lag() -> float | None:
    return REGISTRY.get_sample_value("tidegate_labels_lag_records", {"stage": "toy"})


def test_a_backlog_is_absorbed_in_pieces_and_a_restart_absorbs_the_same() -> None:
    broker, stage = MemoryBroker(TOPICS), Timeless()
    send(broker, *[b"%d" % (at % 97) for at in range(2 * MOST + 5000)], topic="side")
    run = runner(broker, stage, batch=1)
    lags = []
    for at in range(4):
        send(broker, b"1:%d" % at)
        while not run.run_once():
            pass
        run._monitor._measured_us = 0
        run.run_once()
        lags.append(lag())
    assert stage.absorbed[:4] == [MOST, MOST, 5000, 0]
    assert lags == [MOST + 5000, 5000, 0, 0]
    before = run.digests()
    run.close()
    again = runner(broker, Timeless())
    until_idle(again)
    assert again.digests() == before


@settings(max_examples=60, deadline=None)
@given(
    turns=st.lists(
        st.tuples(st.integers(0, 25), st.integers(0, 120), st.integers(1, 3)),
        min_size=1,
        max_size=12,
    ),
    most=st.integers(1, 12),
)
def test_passing_over_what_is_too_old_gives_the_bits_of_a_fold_of_all(
    turns: list[tuple[int, int, int]], most: int
) -> None:
    """Also after a restart without a snapshot, and against a side topic that is read in whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(side_topic, "MOST", most)
        broker, stage = MemoryBroker(TOPICS), Aged()
        run = runner(broker, stage, batch=2)
        for at, (labels, pause_ms, inputs) in enumerate(turns):
            send(broker, *[b"%d" % (at + number) for number in range(labels)], topic="side")
            broker._time += pause_ms
            send(broker, *[b"%d:%d" % (at % KEYS, number) for number in range(inputs)])
            until_idle(run)
        before = run.digests()
        run.close()
        assert max(stage.absorbed) <= most
        again = runner(broker, Aged())
        until_idle(again)
        assert again.digests() == before
        again.close()
        patch.setattr(SideLog, "begin", lambda _self, start, _stop, _since_ms: start)
        whole = runner(broker, Aged())
        until_idle(whole)
        assert whole.digests() == before


def test_the_start_does_not_read_what_is_too_old() -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, *[b"1"] * (5 * MOST), topic="side")
    broker._time += 1000
    send(broker, *[b"2"] * 10, topic="side")
    stage = Aged()
    run = runner(broker, stage, batch=1)
    for at in range(4):
        send(broker, b"1:%d" % at)
        until_idle(run)
    assert stage.absorbed[0] == MOST, "nothing is known yet of what is too old"
    assert sum(stage.absorbed) <= 2 * MOST, "the rest that is too old is not read"
    (partition,) = run._assignment.partitions
    assert partition.side == 5 * MOST + 10
    run.close()


def test_following_begins_near_the_end_however_long_the_topic_is() -> None:
    broker = MemoryBroker({"side": 1})
    for at in range(MOST + 100):
        broker.append("side", b"k", b"%d" % at, None, None)
    log = SideLog(broker.consumer(None), TopicPartition("side", 0))
    while log.end < MOST + 100:
        log.follow(0)
    assert (log.end, log.held) == (
        MOST + 100,
        sum(len(b"%d" % at) for at in range(100, MOST + 100)),
    )
    assert [value for batch in log.read(98, 102) for value in batch.values] == [
        b"98",
        b"99",
        b"100",
        b"101",
    ]


def test_a_neighbour_that_is_restored_first_costs_no_labels() -> None:
    """It follows the side topic while the other one absorbs what is not yet followed."""
    broker = MemoryBroker({**TOPICS, "in": 2})
    send(broker, *[b"%d" % (at % 97) for at in range(MOST)], topic="side")
    run = runner(broker, CountStage(), batch=50, monotonic=Clock(step=100_000))
    for at in range(200):
        send_with(broker, b"d", b"1:%d" % at)
        run.run_once()
    until_idle(run)
    before = run.digests()
    assert len(before) == 2
    run.close()
    again = runner(broker, CountStage(), batch=50, monotonic=Clock(step=300_000))
    while not again.progress.restored:
        again.run_once()
    assert again.digests() == before


def test_a_restore_goes_on_when_the_side_topic_was_away_for_a_moment() -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, *[b"%d" % at for at in range(30)], topic="side")
    send(broker, b"1:1")
    run = runner(broker, Timeless())
    until_idle(run)
    before = run.digests()
    run.close()
    again = runner(broker, Timeless(), monotonic=Clock(step=1_000_000))
    side, calls = again._side, 0
    assert isinstance(side, SideLog)
    read = side.read

    def away_once(start: int, stop: int) -> Generator[Batch]:
        nonlocal calls
        calls += 1
        for number, batch in enumerate(read(start, stop)):
            yield batch
            if calls == 1 and number == 0:
                raise Retry("away")

    side.read = away_once  # type: ignore[method-assign]  # the log goes away in the middle
    until_idle(again)
    assert calls > 1
    assert again.digests() == before
