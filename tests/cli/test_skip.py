"""`tidegate skip`: what it shows, and the order that it writes."""

from __future__ import annotations

import msgspec
import pytest
from typer.testing import CliRunner

from cli import app
from cli.bad_records import judge_of, refused
from cli.loss import losses, show_losses
from cli.running.handover import under_way
from cli.skip import order, partitions, place
from tests.faults.injected.bench import NOW_MS
from tests.faults.poison.corpus import CORPUS, tx
from tidegate.broker.addresses import address_of
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Position, TopicPartition
from tidegate.errors import ConfigError
from tidegate.messages.documents import AcceptedLoss, Skip
from tidegate.pipeline import CONSUMERS, CONTROL, FEEDBACK, RAW, SCORED, STAGES, group_of
from tidegate.profile import load_profile
from tidegate.settings import Settings
from tidegate.stream.skips import give
from tidegate.stream.waiting import encode

PROFILE = load_profile("card")
STATEFUL = {"unknown_transaction", "not_storable"}
"""Reasons that do not follow from the record alone."""


@pytest.mark.parametrize("stage", CONSUMERS)
def test_it_finds_what_the_stage_would_refuse(stage: str) -> None:
    judge = judge_of(PROFILE, stage)
    bad = [each for each in CORPUS if each.stage == stage and each.reason not in STATEFUL]
    assert [(judge(each.value, NOW_MS * 1000) or ("",))[0] for each in bad] == [
        each.reason for each in bad
    ]
    if stage == "learn":
        assert judge(b"no label", 0) is not None


def test_it_shows_the_bad_records_and_orders_to_pass_over_them() -> None:
    broker = MemoryBroker({RAW: 1, CONTROL: 1}, time_ms=NOW_MS)
    for value in (tx(), b"nonsense", tx(colour="red"), tx(), b"", tx()):
        broker.append(RAW, b"u1", value, None, None)
    source = TopicPartition(STAGES["preprocess"].input, 0)
    bad = list(refused(broker, source, 1, 4, judge_of(PROFILE, "preprocess")))
    assert [(each.offset, each.key, each.reason) for each in bad] == [
        (1, "u1", "invalid_json"),
        (2, "u1", "unknown_field"),
    ]
    order(broker, "preprocess", source, 4, len(bad), by="me")
    [(_, _, record)] = broker.committed_records(CONTROL)
    assert record.key == b"skip/preprocess/0"
    message = msgspec.json.decode(record.value or b"", type=Skip)
    assert (message.until, message.rejects, message.by) == (4, 2, "me")
    assert message.topic_id == broker.topic_ids([RAW])[RAW][0]


@pytest.mark.parametrize(
    ("place", "expected"),
    [((20, 220, 230), (20, 220, 200)), ((500, 0, 300), (500, 0, 200))],
)
def test_it_orders_to_go_on_without_what_is_lost(
    place: tuple[int, int, int],
    expected: tuple[int, int, int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    broker, source = MemoryBroker({SCORED: 1, CONTROL: 1}), TopicPartition(SCORED, 0)
    position, first, end = (address_of(SCORED, offset) for offset in place)
    found = losses(broker, {source: (Position(position), first, end)}, "persist", by="me")
    give(broker, found[0])
    [(_, _, record)] = broker.committed_records(CONTROL)
    assert record.key == b"loss/persist/0"
    message = msgspec.json.decode(record.value or b"", type=AcceptedLoss)
    assert (message.offset, message.until, message.lost) == expected
    assert message.topic_id == broker.topic_ids([SCORED])[SCORED][0]
    show_losses([message], dry_run=True, as_json=False)
    begin, last = (20, 220) if place[0] == 20 else (300, 500)
    assert f"lost between offset {begin} and {last}" in capsys.readouterr().out


def test_it_orders_to_go_on_without_what_waited_and_is_lost() -> None:
    broker = MemoryBroker({FEEDBACK: 1})
    source, note = TopicPartition(FEEDBACK, 0), encode([10, 50, 70])
    [found] = losses(broker, {source: (Position(80, note), 60, 90)}, "label", by="me")
    assert (found.offset, found.until, found.lost) == (10, 60, 2)
    [found] = losses(broker, {source: (Position(80, note), 100, 120)}, "label", by="me")
    assert (found.offset, found.until, found.lost) == (80, 100, 23)


@pytest.mark.parametrize("position", [None, 220, 225, 230])
def test_nothing_is_accepted_where_nothing_is_lost(position: int | None) -> None:
    broker, source = MemoryBroker({SCORED: 1}), TopicPartition(SCORED, 0)
    stored = None if position is None else Position(position)
    with pytest.raises(ConfigError, match="nothing is lost"):
        losses(broker, {source: (stored, 220, 230)}, "persist", by="me")


def test_of_all_partitions_those_that_have_lost_something_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    broker = MemoryBroker({SCORED: 3, CONTROL: 1})
    places = dict.fromkeys(partitions(broker, SCORED), (Position(20 << 12), 220 << 12, 230 << 12))
    places[TopicPartition(SCORED, 1)] = (Position(225), 220, 230)
    found = losses(broker, places, "persist", by="me")
    assert [(loss.partition, loss.offset, loss.lost) for loss in found] == [
        (0, 20, 200),
        (2, 20, 200),
    ]
    show_losses(found, dry_run=True, as_json=True, is_list=True)
    told = msgspec.json.decode(capsys.readouterr().out)
    assert [(one["partition"], one["goes_on"], one["ordered"]) for one in told] == [
        (0, 220, False),
        (2, 220, False),
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "either --until OFFSET or --accept-loss"),
        (["--partition", "0"], "either --until OFFSET or --accept-loss"),
        (["--partition", "0", "--until", "1", "--accept-loss"], "either --until OFFSET"),
        (["--until", "1"], "either --partition NUMBER or"),
        (["--accept-loss"], "either --partition NUMBER or"),
        (["--accept-loss", "--partition", "0", "--all-partitions"], "either --partition NUMBER or"),
        (["--until", "1", "--all-partitions"], "an offset is one of a partition"),
    ],
)
def test_what_to_skip_has_to_be_said(options: list[str], words: str) -> None:
    error = CliRunner().invoke(app, ["skip", "persist", *options]).exception
    assert isinstance(error, ConfigError)
    assert words in str(error)


def test_it_is_told_where_a_busy_group_is() -> None:
    """A member of the group would be told nothing while a transaction of it is open."""
    broker, source = MemoryBroker({RAW: 1}), TopicPartition(RAW, 0)
    for _ in range(3):
        broker.append(RAW, b"u1", tx(), None, None)
    member = broker.consumer(group_of("preprocess"))
    member.subscribe(RAW, lambda _: {source: 0}, lambda _: None)
    member.poll(1, 0)
    producer = broker.transactional_producer("preprocess")
    producer.begin()
    producer.send_offsets(member, {source: Position(2)})
    assert place(broker, Settings(), "preprocess", source) == (None, 0, 3)
    assert under_way(broker, Settings(), [RAW]) == [RAW]
    producer.commit()
    assert place(broker, Settings(), "preprocess", source) == (Position(2), 0, 3)
