"""Records that wait: they stay on the log, and a restart finds them there."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.label import LabelStage
from db.decode import ScoredRow
from model.verdicts import HoldingVerdicts
from tests.consumers.test_label import PROFILE, row, said
from tests.stream.crash import Clock, Inline
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.errors import Retry
from tidegate.messages.documents import AcceptedLoss, Label, decode_label
from tidegate.messages.documents import encode as told
from tidegate.pipeline import DLQ, FEEDBACK, LABELS, OUTCOMES, group_of
from tidegate.stream.runner import Runner
from tidegate.stream.sink import KafkaSink
from tidegate.stream.skips import Skips
from tidegate.stream.waiting import SPAN, Waiting, decode, encode

SOURCE = TopicPartition(FEEDBACK, 0)
SECOND_US = 1_000_000
ID = "id-of-feedback"


class System:
    """The label stage on the broker in memory, with rows that a test sets."""

    profile = PROFILE

    def __init__(self, wait_s: float = 30.0, wrong_us: int = 0) -> None:
        self.wrong_us = wrong_us
        self.broker = MemoryBroker({FEEDBACK: 1, LABELS: 1, OUTCOMES: 1, DLQ: 1})
        self.rows: set[str] = set()
        self.away = False
        self.drained = True
        self.clock = Clock()
        self.wait_s = wait_s
        self.start()

    def start(self) -> None:
        self.orders = Skips("label", FEEDBACK, ID)
        stage = LabelStage(
            self.profile, self.lookup, self.wait_s, lambda _time_us, _now_us: self.drained
        )
        consumer = self.broker.consumer(group_of("label"))
        sink = KafkaSink(
            self.broker, consumer, "label", instance="0", profile=b"0123abcd", clock=self.clock
        )
        self.runner = Runner(
            stage,
            self.broker,
            consumer,
            sink,
            snapshots=None,
            clock=lambda: self.clock() + self.wrong_us,
            monotonic=self.clock,
            skips=self.orders,
            batch=500,
            executor=Inline(),
        )

    def lookup(self, ids: list[str]) -> Mapping[str, ScoredRow]:
        if self.away:
            raise Retry("the database is away")
        return {name: row(name) for name in ids if name in self.rows}

    def post(self, *names: str) -> None:
        for name in names:
            self.post_verdict(name, "fraud", f"label of {name}")

    def post_verdict(self, name: str, verdict: str, label_id: str) -> None:
        self.broker._time = self.clock.now // 1000
        value = said(name, verdict, label_id=label_id)
        self.broker.append(FEEDBACK, name.encode(), value, None, None)

    def run(self, seconds: float = 1.0) -> None:
        until = self.clock.now + int(seconds * SECOND_US)
        while self.clock.now < until:
            self.clock.now += 100_000
            self.runner.run_once()

    def labels(self) -> list[Label]:
        records = self.broker.committed_records(LABELS)
        return [decode_label(record.value or b"") for _, _, record in records]

    def labelled(self) -> list[str]:
        return [label.transaction_id for label in self.labels()]

    def dead(self) -> list[str]:
        records = self.broker.committed_records(DLQ)
        return [(record.key or b"").decode() for _, _, record in records]

    def written(self) -> int:
        return len(self.broker.committed_records(FEEDBACK))


def test_a_verdict_that_waits_is_written_once_and_does_not_hold_up_others() -> None:
    system = System()
    system.rows.add("there")
    system.post("late", "there", "never")
    system.run(1)
    assert system.labelled() == ["there"]
    system.post("next")
    system.rows |= {"late", "next"}
    system.run(5)
    assert sorted(system.labelled()) == ["late", "next", "there"]
    system.run(40)
    assert system.dead() == ["never"]
    assert system.written() == 4, "each verdict is on the topic once"


@pytest.mark.parametrize("seconds", [0.0, 0.3, 3.0])
@pytest.mark.parametrize("waits_too", [False, True])
def test_a_verdict_that_waits_is_not_overtaken_by_itself(seconds: float, waits_too: bool) -> None:
    """Its id counts once, and its second delivery would make it the verdict given last."""
    system = System()
    system.post_verdict("t", "fraud", "L1")
    system.run(6)
    if not waits_too:
        system.rows.add("t")
    system.post_verdict("t", "legitimate", "L2")
    system.run(0.1)
    system.post_verdict("t", "fraud", "L1")
    system.run(seconds)
    system.rows.add("t")
    system.run(10)
    verdicts = HoldingVerdicts()
    verdicts.add(system.labels())
    assert (verdicts.frauds, len(system.labels())) == ({"t": False}, 3)


@pytest.mark.parametrize("hours", [-1, 1])
def test_the_stages_own_clock_neither_gives_a_verdict_up_nor_keeps_it(hours: int) -> None:
    system = System(wrong_us=hours * 3600 * SECOND_US)
    system.run(1)
    system.clock.now = 4 * 3600 * SECOND_US
    system.post("late", "never")
    system.run(20)
    assert system.dead() == []
    system.rows.add("late")
    system.run(25)
    assert (system.labelled(), system.dead()) == (["late"], ["never"])


def test_a_verdict_outlives_an_outage_of_the_database_writer() -> None:
    system = System()
    system.drained = False
    names = [f"t{number}" for number in range(600)]
    system.post(*names)
    system.run(300)
    assert (system.labelled(), system.dead()) == ([], [])
    system.rows.update(names)
    system.run(5)
    assert sorted(system.labelled()) == sorted(names)
    assert (system.dead(), system.written()) == ([], 600)


@pytest.mark.parametrize("away", [False, True])
def test_what_waits_is_found_on_the_log_after_a_restart(away: bool) -> None:
    system = System()
    system.rows |= {"a", "c"}
    system.post("a", "b", "c", "d")
    system.run(2)
    assert system.labelled() == ["a", "c"]
    system.runner.close()
    system.away = away
    system.start()
    system.rows |= {"b", "d"}
    system.run(10)
    system.away = False
    system.run(40)
    assert sorted(system.labelled()) == ["a", "b", "c", "d"], "each is one label"
    assert system.dead() == []


@pytest.mark.parametrize("first", [2, 4, 5])
def test_what_waited_and_is_not_in_the_log_any_more_is_a_loss(first: int) -> None:
    """Below the position, or together with what lies behind it."""
    system = System()
    system.drained = False
    system.post("a", "b", "c", "d")
    system.run(2)
    system.runner.close()
    system.post("e", "f")
    system.broker.expire(SOURCE, first)
    system.start()
    system.rows |= set("abcdef")
    system.run(2)
    [held] = system.runner.progress.held
    assert (held.until, held.lost) == (first, first)
    assert system.labelled() == [], "nothing goes on before that is accepted"
    order = AcceptedLoss("label", 0, ID, held.offset, held.until, held.lost, "somebody", 1)
    batch = Batch(TopicPartition("control", 0), [0], [None], [told(order)], [0], [None])
    system.orders.absorb(batch)
    system.run(10)
    assert system.runner.progress.held == []
    assert sorted(system.labelled()) == list("abcdef")[first:]


def test_more_than_a_span_waits_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.stream.waiting.SPAN", 50)
    system = System()
    system.drained = False
    names = [f"t{number}" for number in range(200)]
    system.post(*names)
    system.run(20)
    assert system.runner.progress.lag == 150
    system.rows.update(names)
    system.run(60)
    assert sorted(system.labelled()) == sorted(names)
    assert system.written() == 200


@settings(deadline=None)
@given(st.sets(st.integers(0, SPAN - 1), max_size=300), st.integers(0, 1 << 50))
def test_a_note_holds_any_offsets_of_a_span(places: set[int], first: int) -> None:
    offsets = sorted(first + place for place in places)
    assert decode(encode(offsets)) == offsets


@given(st.sets(st.integers(0, SPAN - 1), max_size=20), st.binary(max_size=800))
def test_the_version_before_passes_over_what_stands_behind_the_offsets(
    places: set[int], kept: bytes
) -> None:
    note = encode(sorted(places), kept)
    if note:
        first, _, packed = note.removeprefix("waiting:").partition(":")
        bits = int.from_bytes(zlib.decompress(base64.b64decode(packed)), "little")
        found = [int(first) + k for k in range(bits.bit_length()) if bits >> k & 1]
        assert found == sorted(places)


def test_a_longer_span_of_the_version_before_is_kept() -> None:
    offsets = [7, 7 + 19_999]
    assert decode(encode(offsets)) == offsets


def test_no_note_is_longer_than_kafka_takes() -> None:
    import random

    chance = random.Random(1)
    note = encode([place for place in range(SPAN) if chance.random() < 0.5])
    assert len(note) < 3700
    assert decode("5:3+2:1") == decode("") == []


def test_what_waits_is_looked_at_ever_more_rarely() -> None:
    waiting = Waiting()
    record = Batch(SOURCE, [7], [b"k"], [b"v"], [0], [None])
    now, looks = 0, 0
    waiting.settle(record, {7}, now)
    while now < 30 * SECOND_US:
        now += 50_000
        if len(waiting.due(SOURCE, now)):
            looks += 1
            waiting.settle(record, {7}, now)
    assert 8 <= looks <= 12
