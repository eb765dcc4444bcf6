"""Operational events: what lasts is told once, and once when it is over, across a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from consumers.notify.operations import Operations
from db.engine import reading
from db.notify.outbox import Outbox
from db.notify.tables import deliveries
from tests.notify.receivers import config_of, hook
from tests.notify.test_conditions import MINUTE, beat
from tests.support import eventually
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import TopicPartition
from tidegate.broker.tail import Tail
from tidegate.clock import now_us
from tidegate.messages.documents import Champion, OnlineWeights, encode
from tidegate.messages.findings import Finding
from tidegate.pipeline import (
    BY_ENTITY_2,
    DLQ,
    FEATURES,
    FEEDBACK,
    LABELS,
    MODELS,
    OPERATIONS,
    PROMOTIONS,
    RAW,
    SCORED,
    STATUS,
    stage_inputs,
)
from tidegate.profile import load_profile

CARD = load_profile("card")


TOPICS = (RAW, BY_ENTITY_2, FEATURES, SCORED, FEEDBACK, LABELS, STATUS, MODELS, DLQ, PROMOTIONS)


class Watching:
    """The followed topics in memory; `turn` looks at them at `now`."""

    def __init__(self, url: str, folder: Path, broker: MemoryBroker, now: int) -> None:
        self.now, self.url = now, url
        text = f"channels:\n{hook('hook', 'http://127.0.0.1:1/')}" + (
            "routes:\n  - {events: [operations], channels: [hook]}\n"
        )
        config = config_of(folder, text)
        self.outbox = Outbox(url, config, lambda: self.now)
        since_us = self.outbox.begin()
        self.operations = Operations(
            broker, CARD, config, self.outbox, since_us, lambda: self.now
        ).start()

    def turn(self, after: int = 0) -> None:
        self.now += after
        self.operations.turn()

    def told(self) -> list[str]:
        with reading(self.url) as connection:
            query = select(deliveries.c.subject).order_by(deliveries.c.at_us, deliveries.c.id)
            return list(connection.scalars(query))

    def close(self) -> None:
        self.operations.close()
        self.outbox.close()


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker(dict.fromkeys((*TOPICS, OPERATIONS), 1), now_us() // 1000)


@pytest.fixture
def watching(url: str, tmp_path: Path, broker: MemoryBroker) -> Iterator[Watching]:
    made = Watching(url, tmp_path, broker, now_us())
    yield made
    made.close()


def write(broker: MemoryBroker, topic: str, value: bytes, **headers: str) -> None:
    producer = broker.producer()
    extra = [(name.replace("_", "-"), text.encode()) for name, text in headers.items()]
    producer.produce(topic, b"key", value, lambda _error: None, extra)
    producer.close()


def test_promotions_and_findings_are_told_once_also_after_a_restart(
    watching: Watching, broker: MemoryBroker, tmp_path: Path
) -> None:
    ours = CARD.hash.decode()
    later = watching.now + 1
    for message in (
        Champion("b0", ours, watching.now - MINUTE),
        Champion("b2", ours, later, "ann", "b1"),
        Champion("other", "another profile", later),
    ):
        write(broker, PROMOTIONS, encode(message))
    told = "Retraining: card: b2 is the champion now"
    write(broker, OPERATIONS, encode(Finding("retrained", ours, later, True, told)))
    write(broker, OPERATIONS, b"{")
    gap = Finding("reconciliation_gap", ours, later + 1, False, "3 records are missing")
    write(broker, OPERATIONS, encode(gap))
    expected = {"Model b2 was promoted by ann, after b1", told, "3 records are missing"}

    def told_all() -> bool:
        watching.turn(2)
        return set(watching.told()) == expected

    eventually(told_all)
    again = Watching(watching.url, tmp_path, broker, watching.now)
    eventually(lambda: len(again.operations._news) == 4)
    again.turn()
    assert len(again.told()) == 3
    again.close()


def test_what_is_wrong_is_remembered_over_a_restart(
    watching: Watching, broker: MemoryBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.notify.operations._SETTLED_SECONDS", 0.2)
    inputs = stage_inputs(2, learner=CARD.models.learns)

    def all_beat() -> None:
        for stage in inputs:
            if stage != "label":
                write(broker, STATUS, encode(beat(stage)))

    all_beat()
    write(broker, DLQ, b"x", tidegate_stage="score", tidegate_reason="exception")
    write(broker, MODELS, encode(Champion("b1", CARD.hash.decode(), 1)))
    write(broker, MODELS, encode(OnlineWeights("b1", 3, b"", 3, 3, True)))
    wanted = {
        "Stage label: no live process",
        "1 dead letter of score: exception",
        "The online model of b1 is frozen: the training's weights score",
    }

    def known(watch: Watching) -> bool:
        """The topics are read, and what is wrong was seen."""
        if {one.subject for one in watch.operations.wrong(watch.now)} != wanted:
            all_beat()
            return False
        watch.turn()
        return {one.subject for one in (watch.operations._known or {}).values()} == wanted

    eventually(lambda: known(watching))
    assert watching.told() == []
    watching.turn(MINUTE)
    assert set(watching.told()) == wanted
    again = Watching(watching.url, tmp_path, broker, watching.now)
    eventually(lambda: known(again))
    again.turn(MINUTE)
    assert set(again.told()) == wanted, "nothing is told twice"
    write(broker, MODELS, encode(OnlineWeights("b1", 4, b"", 4, 4, False)))
    eventually(lambda: not again.operations._frozen["b1"])
    all_beat()
    again.turn(MINUTE + 1)
    assert set(again.told()) - wanted == {
        "Over: The online model of b1 is frozen: the training's weights score"
    }
    again.close()


def test_what_lasted_over_a_restart_is_told_with_its_whole_length(
    watching: Watching, broker: MemoryBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.notify.operations._SETTLED_SECONDS", 0.0)
    write(broker, MODELS, encode(Champion("b1", CARD.hash.decode(), 1)))
    write(broker, MODELS, encode(OnlineWeights("b1", 3, b"", 3, 3, True)))
    eventually(lambda: watching.operations._frozen.get("b1", False))
    for _minute in range(31):
        watching.turn(MINUTE)
    write(broker, MODELS, encode(OnlineWeights("b1", 4, b"", 4, 4, False)))
    again = Watching(watching.url, tmp_path, broker, watching.now)
    eventually(lambda: again.operations._frozen.get("b1") is False)
    again.turn(MINUTE)
    again.close()
    over = select(deliveries.c.text).where(deliveries.c.subject.startswith("Over: The online"))
    with reading(watching.url) as connection:
        said = connection.scalar(over)
    assert str(said).endswith("It lasted about 30 min.")


def test_who_reads_the_dead_letters_again_counts_each_once(
    watching: Watching, broker: MemoryBroker
) -> None:
    for _letter in range(3):
        write(broker, DLQ, b"x", tidegate_stage="score", tidegate_reason="exception")
    eventually(lambda: len(watching.operations._letters) == 3)
    after_an_outage = Tail(broker, DLQ, watching.operations._absorb_letters, newest=10).start()
    assert after_an_outage.reached({TopicPartition(DLQ, 0): 3}, 30)
    after_an_outage.close()
    subjects = [one.subject for one in watching.operations.wrong(watching.now)]
    assert "3 dead letters of score: exception" in subjects
