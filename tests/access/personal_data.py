"""Bodies with a personal number, and all the places in which it could be found."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask

from consumers.discreet import discreet
from consumers.erasable import keyed_step
from consumers.preprocess import PreprocessStage
from db.decode import ScoredRow
from model.sip import NO_SECRET
from tests.producers.running_api import TOPICS
from tests.profile.test_tokens import NUMBER
from tests.web import transaction
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.clock import now_us
from tidegate.messages.vault import Vault
from tidegate.pipeline import group_of
from tidegate.profile import Profile
from tidegate.stream.runner import Runner
from tidegate.stream.sink import KafkaSink

SECOND = "5500000000000004"
KIND = "device_type: {type: category,", "device_type: {type: category, personal: true,"


def body(identity: str, **changes: object) -> dict[str, Any]:
    return transaction(identity, **({"user_id": NUMBER} | changes))


def preprocessed(
    broker: MemoryBroker,
    profile: Profile,
    vault: Vault | None = None,
    stage: PreprocessStage | None = None,
) -> None:
    """All that is on the raw topic, by the first keyed step."""
    stage = stage or keyed_step(profile, 0, NO_SECRET, vault)
    consumer = broker.consumer(group_of(stage.name))
    sink = KafkaSink(
        broker,
        consumer,
        stage.name,
        instance="0",
        profile=profile.hash,
        clock=now_us,
        letters=partial(discreet, profile, vault=vault),
    )
    run = Runner(stage, broker, consumer, sink, snapshots=None)
    for _ in range(15):
        run.run_once()
    run.close()


def set_clock(broker: MemoryBroker) -> MemoryBroker:
    """Let the broker's log be of today."""
    broker._time = now_us() // 1000
    return broker


def everything(broker: MemoryBroker, *topics: str) -> bytes:
    """Keys, values and headers of all records, read back raw."""
    parts: list[bytes] = []
    for topic in topics or TOPICS:
        for _, _, record in broker.committed_records(topic):
            parts += [record.key or b"", record.value or b"", repr(record.headers).encode()]
    return b"\n".join(parts)


def on_disk(home: Path) -> bytes:
    return b"".join(file.read_bytes() for file in home.glob("tidegate.db*"))


def scored_row_of(profile: Profile, transaction_id: str) -> ScoredRow:
    width = len(profile.values)
    return ScoredRow(
        transaction_id=transaction_id,
        profile=profile.hash.decode(),
        event_us=1,
        amount_minor=1,
        keys=[1, 2],
        values=[0.0] * width,
        score=0.5,
        decision="review",
        entities=["a", "b"],
    )


def broker_of(app: Flask) -> MemoryBroker:
    return set_clock(app.extensions["tidegate"].broker)
