"""What the runner does with bad records: rejects, the breaker, and orders to pass over them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from prometheus_client import REGISTRY

from model.hashing import partitions_of
from tests.stream.running import TOPICS, outputs, runner, send, send_with, until_idle
from tests.stream.toy import CopyStage, CountStage
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.messages.documents import Skip, encode
from tidegate.messages.heartbeats import Held
from tidegate.pipeline import DLQ
from tidegate.reasons import REASONS
from tidegate.stream.dead_letters import ATTEMPT
from tidegate.stream.skips import Skips
from tidegate.stream.skips import topic_id as topic_id_of
from tidegate.stream.stage import NoState, Output, Reject


def test_one_poison_record_is_isolated_and_its_neighbours_pass() -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, b"1:10", b"boom:11", b"1:12", b"bad:13", b"1:14", b"boom:15")
    run = runner(broker, CountStage())
    assert until_idle(run) == 6
    assert outputs(broker) == [b"10", b"12", b"14"]
    dead = {
        record.value: dict(record.headers or []) for _, _, record in broker.committed_records(DLQ)
    }
    assert set(dead) == {b"boom:11", b"bad:13", b"boom:15"}
    told = dead[b"boom:11"]
    assert (told["tidegate-reason"], told["tidegate-exception"]) == (
        b"exception",
        b"ZeroDivisionError",
    )
    assert (told["tidegate-topic"], told["tidegate-partition"], told["tidegate-offset"]) == (
        b"in",
        b"0",
        b"1",
    )
    assert told["from"] == b"test"
    assert run.progress.processed == 6
    assert run.progress.rejected == 3


def test_a_batch_of_nothing_but_poison() -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, *[b"boom:%d" % at for at in range(7)])
    assert until_idle(runner(broker, CountStage())) == 7
    assert len(broker.committed_records(DLQ)) == 7


@pytest.mark.parametrize(("bad", "held"), [(99, False), (100, True)])
def test_the_breaker_holds_before_anything_of_the_batch_is_committed(bad: int, held: bool) -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, *[b"1:%d" % at for at in range(2000)])
    run = runner(broker, CountStage())
    until_idle(run)
    send(broker, *[b"bad:%d" % at for at in range(bad)], *[b"1:%d" % at for at in range(900 - bad)])
    if not held:
        assert until_idle(run) == 900
        return
    assert until_idle(run) == 0
    assert run.progress.held == [Held(0, 2000, 2000 + bad, ["bad_key"])]
    assert run.progress.lag == 900
    assert broker.committed_records(DLQ) == []


def records(count: int, bad: Sequence[int] = ()) -> list[bytes]:
    return [b"bad:%d" % at if at in bad else b"1:%d" % at for at in range(count)]


def test_a_held_partition_leaves_its_neighbours_alone(caplog: pytest.LogCaptureFixture) -> None:
    broker = MemoryBroker({**TOPICS, "in": 2})
    names = [b"%d" % i for i in range(20)]
    keys = dict(zip(partitions_of(names, 2).tolist(), names, strict=True))
    run = runner(broker, CountStage())
    until_idle(run)
    send_with(broker, keys[0], *records(200, range(200)))
    send_with(broker, keys[1], *records(200))
    assert until_idle(run) == 200
    send_with(broker, keys[1], *records(50))
    assert until_idle(run) == 50
    assert [held.partition for held in run.progress.held] == [0]
    assert (
        REGISTRY.get_sample_value("tidegate_held_partitions", {"stage": "toy", "partition": "0"})
        == 1
    )
    assert caplog.text.count("nothing from offset 0 on is committed") == 1


def test_a_held_partition_is_tried_again_and_goes_on_when_its_cause_is_gone() -> None:
    class Learning(CopyStage):
        mended = False
        tries = 0

        def process(self, state: NoState, batch: Batch) -> Output:
            Learning.tries += 1
            if self.mended:
                return super().process(state, batch)
            return Output(rejects=[Reject(i, "bad_key", "") for i in range(len(batch))])

    broker, now = MemoryBroker(TOPICS), [0]
    send(broker, *records(150))
    stage = Learning()
    run = runner(broker, stage, monotonic=lambda: now[0])
    until_idle(run)
    assert (stage.tries, len(run.progress.held)) == (1, 1), "it waits"
    now[0] = 59_000_000
    until_idle(run)
    assert stage.tries == 1
    now[0] = 61_000_000
    until_idle(run)
    assert (stage.tries, len(run.progress.held)) == (2, 1), "tried once more, and held again"
    stage.mended, now[0] = True, 122_000_000
    assert until_idle(run) == 150
    assert len(broker.committed_records("out")) == 150
    assert run.progress.held == []
    assert (
        REGISTRY.get_sample_value("tidegate_held_partitions", {"stage": "copy", "partition": "0"})
        == 0
    )


def test_a_stage_that_pauses_all_the_time_still_tries_what_is_held_again() -> None:
    class Waiting(CopyStage):
        """Like label while verdicts wait for their rows: each batch asks for a pause."""

        mended = False

        def process(self, state: NoState, batch: Batch) -> Output:
            if batch.source.partition == 0 and not self.mended:
                return Output(rejects=[Reject(i, "bad_key", "") for i in range(len(batch))])
            output = super().process(state, batch)
            output.pause = 0.25
            return output

    broker, now = MemoryBroker({**TOPICS, "in": 2}), [0]
    names = [b"%d" % i for i in range(20)]
    keys = dict(zip(partitions_of(names, 2).tolist(), names, strict=True))
    send_with(broker, keys[0], *records(150))
    stage = Waiting()
    run = runner(broker, stage, monotonic=lambda: now[0], batch=1000)
    until_idle(run)
    send_with(broker, keys[1], b"1:1")
    run.run_once()  # from here on it pauses
    stage.mended, now[0] = True, 61_000_000
    for _ in range(200):
        send_with(broker, keys[1], b"1:1")
        run.run_once()
    assert run.progress.held == []


class Refusing(CopyStage):
    """Rejects all for one reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def process(self, state: NoState, batch: Batch) -> Output:
        return Output(rejects=[Reject(i, self.reason, "") for i in range(len(batch))])


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_only_what_says_that_the_format_is_broken_holds(reason: str) -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, *records(300))
    run = runner(broker, Refusing(reason))
    assert until_idle(run) == (0 if REASONS[reason].breaks else 300)
    assert {reason for reason, known in REASONS.items() if not known.breaks} == {
        "conflicting_duplicate",
        "unknown_transaction",
        "unavailable_value",
    }


def skips(broker: MemoryBroker, until: int, topic_id: str = "") -> Skips:
    """Orders as the thread that follows topic control finds them."""
    orders = Skips("toy", "in", topic_id_of(broker, "in"))
    add_order(orders, until, topic_id or topic_id_of(broker, "in"))
    return orders


def add_order(orders: Skips, until: int, topic_id: str) -> None:
    order = Skip("toy", 0, topic_id, until, 1, "somebody", 1)
    values: list[bytes | None] = [b"no order", encode(order), None]
    nothing: list[bytes | None] = [None] * 3
    orders.absorb(
        Batch(TopicPartition("control", 0), [0, 1, 2], nothing, values, [0] * 3, [None] * 3)
    )


BAD_TIMES = [*range(10, 130), *range(200, 320)]
"""Of 400 records; 120 bad ones, good ones between, and 120 bad ones again."""


def test_an_order_lets_a_held_partition_go_on_and_loses_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, *records(400, BAD_TIMES))
    orders = Skips("toy", "in", topic_id_of(broker, "in"))
    run = runner(broker, CountStage(), skips=orders)
    assert until_idle(run) == 0
    add_order(orders, 320, topic_id_of(broker, "in"))
    assert until_idle(run) == 400
    assert run.progress.held == []
    assert [int(value) for value in outputs(broker)] == [
        at for at in range(400) if at not in BAD_TIMES
    ]
    assert len(broker.committed_records(DLQ)) == 240
    assert "240 records of in/0 before offset 320 are dead letters, as somebody ordered" in (
        caplog.text
    )


def test_what_lies_behind_an_order_holds_by_itself() -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, *records(400, BAD_TIMES))
    run = runner(broker, CountStage(), skips=skips(broker, 150))
    assert until_idle(run) == 150
    assert run.progress.held == [Held(0, 150, 320, ["bad_key"])]
    assert len(broker.committed_records(DLQ)) == 120


def test_an_order_for_a_topic_that_was_made_anew_is_none() -> None:
    broker = MemoryBroker(TOPICS)
    send(broker, *records(400, BAD_TIMES))
    run = runner(broker, CountStage(), skips=skips(broker, 400, "another id"))
    assert until_idle(run) == 0


def test_records_put_back_never_hold() -> None:
    broker = MemoryBroker(TOPICS)
    for value in records(300):
        broker.append("in", b"k", value, [(ATTEMPT, b"1")], None)
    assert until_idle(runner(broker, Refusing("invalid_json"))) == 300
    assert len(broker.committed_records(DLQ)) == 300
