"""An erasable profile on the broker in memory, and its steps one by one."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from consumers.erasable import ErasablePersist
from db.account_keys import vault_of
from db.names import names_of
from db.sink import SqlSink
from tests.blocks import frames_on
from tests.profile.test_tokens import NUMBER
from tests.web import transaction
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.clock import now_us
from tidegate.messages.vault import Vault
from tidegate.pipeline import BY_ENTITY_2, SCORED, group_of
from tidegate.profile import Profile
from tidegate.settings import Settings
from tidegate.stream.sink import KafkaSink

PLANTED = "a planted remark"
ERASABLE = "account: user_id", "account: user_id\nerasable: true\nunknown_fields: keep"
OTHER = "5500000000000004"
OPENED: list[Vault] = []


def body(identity: str, **changes: object) -> dict[str, Any]:
    return transaction(identity, **({"user_id": NUMBER, "note": PLANTED} | changes))


def at_hand(profile: Profile, home: Path) -> Vault:
    """A new process's: it has no key at hand yet."""
    vault = vault_of(profile, Settings(home=home).db_url)
    assert vault is not None
    OPENED.append(vault)
    return vault


def scored_frames(broker: MemoryBroker, profile: Profile) -> list[bytes]:
    """What the scorer would make of all frames of the first step: their tails as they are."""
    frames = frames_on(broker, BY_ENTITY_2)
    layout, wider = profile.features_layout, profile.scored_layout
    rows = layout.rows(frames)
    made = wider.empty(len(rows))
    for name in set(rows.dtype.names or ()) - {"magic", "profile"}:
        made[name] = rows[name]
    made["bundle"], made["scores"], made["score"] = b"00aa11bb22cc33dd", np.nan, 0.5
    size = layout.dtype.itemsize
    return [row.tobytes() + frame[size:] for row, frame in zip(made, frames, strict=True)]


def persisted(url: str, broker: MemoryBroker, profile: Profile, vault: Vault) -> dict[str, int]:
    """Rows of all scored frames; what was passed over."""
    frames = scored_frames(broker, profile)
    stage = ErasablePersist(profile, Path("nowhere"), None, vault)
    with closing(SqlSink(url, broker, names_of(profile), clock=now_us)) as sink:
        source, count = TopicPartition(SCORED, 0), len(frames)
        start = sink.positions([source]).get(source, Position(0)).offset
        offsets = list(range(start, start + count))
        blank: list[Any] = [None] * count
        batch = Batch(source, offsets, blank, list(frames), [0] * count, blank)
        output = stage.process(stage.new_state(0, 1), batch)
        sink.write([(batch, output)], {source: Position(start + count)})
    return dict(output.passed)


def handed_on(broker: MemoryBroker, profile: Profile) -> None:
    """Let all frames of the first step be processed by the second."""
    consumer = broker.consumer(group_of("preprocess-2"))
    sink = KafkaSink(
        broker, consumer, "preprocess-2", instance="0", profile=profile.hash, clock=now_us
    )
    consumer.subscribe(BY_ENTITY_2, lambda _: {}, lambda _: None)
    consumer.poll(1000, 0.0)
    sources = consumer.partitions(BY_ENTITY_2)
    sink.write([], {source: Position(consumer.bounds(source)[1]) for source in sources})
    sink.close()
    consumer.close()
