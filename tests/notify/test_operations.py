"""Operational events: what lasts is told once, and once when it is over, across a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from consumers.notify.conditions import Condition, Known, step
from consumers.notify.operations import Operations
from consumers.notify.pipeline_state import of_heartbeats, of_learner, of_letters
from db.engine import reading
from db.notify.outbox import Outbox
from db.notify.tables import deliveries
from tests.notify.receivers import config_of, hook
from tests.support import eventually
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import TopicPartition
from tidegate.broker.tail import Tail
from tidegate.clock import now_us
from tidegate.messages.documents import Champion, OnlineWeights, encode
from tidegate.messages.findings import Finding
from tidegate.messages.heartbeats import Drift, Heartbeat, Held, Moved
from tidegate.notify.config import Bounds
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

MINUTE = 60_000_000
WRONG = Condition("lag", "score", "Stage score is 7 records behind")
BOUNDS = Bounds(lag=100, drift=0.5, patience_us=MINUTE)


def followed(sightings: list[bool]) -> list[str]:
    """What is told, when this is wrong or not every 10 s."""
    known: Known = {}
    told: list[str] = []
    for at, wrong in enumerate(sightings):
        known, events = step(known, {WRONG.key: WRONG} if wrong else {}, at * 10_000_000, MINUTE)
        told += [event.subject for event in events]
    return told


def test_what_lasts_is_told_once_and_its_end_once() -> None:
    assert followed([True] * 6) == []
    assert followed([True] * 30) == [WRONG.subject]
    assert followed([True] * 7 + [False] * 5 + [True] * 7) == [WRONG.subject]
    assert followed([True] * 7 + [False] * 7) == [WRONG.subject, f"Over: {WRONG.subject}"]
    assert followed([True] * 3 + [False] * 20) == []


def test_the_end_is_told_in_the_words_of_the_beginning() -> None:
    known: Known = {}
    told = []
    for at in range(20):
        wrong = {WRONG.key: WRONG._replace(subject=f"behind at {at}")} if at < 10 else {}
        known, events = step(known, wrong, at * 10_000_000, MINUTE)
        told += [event.subject for event in events]
    assert told == ["behind at 6", "Over: behind at 6"]


@given(st.lists(st.booleans(), max_size=80))
def test_beginnings_and_ends_take_turns(sightings: list[bool]) -> None:
    told = followed(sightings)
    assert (
        told
        == [WRONG.subject, f"Over: {WRONG.subject}"] * (len(told) // 2) + told[len(told) // 2 * 2 :]
    )
    assert len(told) % 2 == 0 or told[-1] == WRONG.subject


def test_a_second_time_is_another_event() -> None:
    known: Known = {}
    keys = []
    for at in range(0, 600, 10):
        wrong = {WRONG.key: WRONG} if at % 200 < 100 else {}
        known, events = step(known, wrong, at * 1_000_000, MINUTE)
        keys += [event.key for event in events]
    assert len(keys) == len(set(keys)) == 6


def beat(stage: str, **changes: object) -> Heartbeat:
    made = {
        "process": f"{stage}-1",
        "stage": stage,
        "pid": 1,
        "host": "here",
        "partitions": [0],
        "restored": True,
        "lag": 0,
        "processed": 0,
        "rejected": 0,
        "restarts": 0,
        "bundle": "b1",
        "models_offset": 0,
        "metrics_port": 0,
        "time_us": now_us(),
    } | changes
    return Heartbeat(**made)  # type: ignore[arg-type] # by name


def test_what_heartbeats_say() -> None:
    moved = [Moved("amount", "input", 0.7, 0.2), Moved("hour_sin", "derived", 3.0, 0.9)]
    beats = [
        beat("score", lag=60, process="a"),
        beat("score", lag=60, process="b", refused="b2: no such file"),
        beat("label", held=[Held(2, 17, 40, ["invalid_json"])]),
        beat("learn", lag=1_000, stopping=True),
        beat("persist", held=[Held(0, 5, 9, [], lost=4)]),
    ]
    wrong = of_heartbeats(beats, ["cases: no live process"], Drift("b1", 900, moved), BOUNDS)
    assert [(one.key, one.subject) for one in wrong] == [
        ("stage_missing/cases", "Stage cases: no live process"),
        ("lag/score", "Stage score is 120 records behind"),
        ("held/label/2", "Stage label holds partition 2 at offset 17: invalid_json"),
        ("held/persist/0", "Stage persist holds partition 0 at offset 5: 4 records are lost"),
        ("champion_refused/b", "b refuses: b2: no such file"),
        ("drift/b1", "The newest 900 rows are not what model b1 learnt from"),
    ]
    assert wrong[-1].text == "Moved most: amount (PSI 0.70)"
    assert of_heartbeats([beat("score")], [], Drift("b1", 900, moved[1:]), BOUNDS) == []


def test_what_letters_and_the_learner_say() -> None:
    letters = of_letters({("score", "exception"): 1, ("preprocess", "invalid_json"): 1200})
    assert [one.subject for one in letters] == [
        "1,200 dead letters of preprocess: invalid_json",
        "1 dead letter of score: exception",
    ]
    assert of_learner("b1", frozen=False) == []
    assert [one.key for one in of_learner("b1", frozen=True)] == ["learner_frozen/b1"]


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
