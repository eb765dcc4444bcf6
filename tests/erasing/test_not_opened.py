"""Records that no key opens: dead letters, and no stage or command ends at them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from cli.skip import judge_of, refused
from consumers.dry_run import dry_run
from consumers.erasable import keyed_step
from db.engine import open_database
from db.migrate import migrate
from db.reconcile.reconcile import Reconciler
from db.store import Store
from model.sip import NO_SECRET
from tests.access.personal_data import preprocessed, set_clock
from tests.blocks import frames_on
from tests.erasing.steps import at_hand, body, handed_on, persisted
from tests.model.features.chain import batch
from tests.producers.running_api import TOPICS
from tests.profile.test_tokens import NUMBER
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import TopicPartition
from tidegate.clock import now_us
from tidegate.dead_letters.letters import read_all
from tidegate.dead_letters.listing import entries
from tidegate.dead_letters.redrive import redrive
from tidegate.dead_letters.selection import Selection
from tidegate.errors import Retry
from tidegate.messages.ciphertext import MAGIC
from tidegate.pipeline import BY_ENTITY_2, DLQ, RAW
from tidegate.profile import Profile
from tidegate.reasons import breaks

UNKNOWN = MAGIC + b"no key's" + b"x" * 40
CUT = MAGIC + b"cut"


@pytest.fixture
def broker() -> MemoryBroker:
    return set_clock(MemoryBroker(TOPICS | {RAW: 1}))


def sealed(profile: Profile, home: Path, *names: str) -> list[bytes]:
    """Transactions of one account as the API writes them."""
    account = profile.stored("user_id", NUMBER).encode()
    plain = [profile.canonical(profile.decode(json.dumps(body(name)).encode())) for name in names]
    return at_hand(profile, home).encrypt([account] * len(plain), plain)


def put(broker: MemoryBroker, profile: Profile, *values: bytes) -> None:
    for value in values:
        broker.append(RAW, profile.stored("user_id", NUMBER).encode(), value, None, None)


def dead(broker: MemoryBroker) -> list[tuple[bytes | None, bytes]]:
    """Value and reason of each dead letter."""
    return [
        (record.value, dict(record.headers or [])["tidegate-reason"])
        for _, _, record in broker.committed_records(DLQ)
    ]


@pytest.mark.usefixtures("url")
def test_what_no_key_opens_is_a_dead_letter_as_it_is(
    broker: MemoryBroker, profile: Profile, tmp_path: Path
) -> None:
    [good] = sealed(profile, tmp_path, "a")
    forged = good[:-1] + bytes([good[-1] ^ 1])
    put(broker, profile, UNKNOWN, forged, CUT, good)
    preprocessed(broker, profile, at_hand(profile, tmp_path))
    assert dead(broker) == [(value, b"not_opened") for value in (UNKNOWN, forged, CUT)]
    assert len(frames_on(broker, BY_ENTITY_2)) == 1


def test_every_command_goes_on_and_names_them(
    broker: MemoryBroker, profile: Profile, url: str, tmp_path: Path
) -> None:
    put(broker, profile, UNKNOWN, CUT, *sealed(profile, tmp_path, "a"))
    vault, source = at_hand(profile, tmp_path), TopicPartition(RAW, 0)
    found = refused(broker, source, 0, 3, judge_of(profile, "preprocess"), vault)
    assert [(bad.offset, bad.reason) for bad in found] == [(0, "not_opened"), (1, "not_opened")]
    preprocessed(broker, profile, vault)
    persisted(url, broker, profile, vault)
    handed_on(broker, profile)
    listed = entries(broker, profile, vault=vault)
    assert {entry.reason for entry in listed} == {"not_opened"}
    assert any("key 6e6f206b65792773, and no key in TIDEGATE_DB" in each.detail for each in listed)
    done = redrive(broker, profile, Selection(), dry_run=True, vault=vault)
    assert (done.redriven, done.reasons) == ({RAW: 2}, {"not_opened": 2})
    reconciler = Reconciler(broker, profile, url)
    totals = reconciler.run()
    reconciler.close()
    store, first = Store(url, profile), keyed_step(profile, 0, NO_SECRET)
    for letter in read_all(broker.consumer(None), DLQ, vault=vault):
        told = dry_run(profile, broker, store, lambda _: first, letter, now_us=now_us())
        assert (told.outcome, told.reason) == ("fails", "not_opened")
    store.close()
    assert (totals.of("row"), totals.of("dead_letter"), totals.of("missing")) == (1, 2, 0)
    redrive(broker, profile, Selection(), vault=vault)
    put_back = [record.value for _, _, record in broker.committed_records(RAW)][3:]
    assert put_back == [UNKNOWN, CUT], "nothing is encrypted twice"


def test_another_database_holds_the_partition_and_loses_nothing(
    broker: MemoryBroker, profile: Profile, tmp_path: Path
) -> None:
    assert breaks("not_opened")
    homes = [tmp_path / "right", tmp_path / "wrong"]
    for home in homes:
        home.mkdir()
        migrate(f"sqlite:///{home}/tidegate.db")
    put(broker, profile, *sealed(profile, homes[0], *(f"t{number}" for number in range(120))))
    preprocessed(broker, profile, at_hand(profile, homes[1]))
    assert dead(broker) == []
    preprocessed(broker, profile, at_hand(profile, homes[0]))
    assert (dead(broker), len(frames_on(broker, BY_ENTITY_2))) == ([], 120)


def test_what_is_folded_anew_or_scored_waits_for_the_database_that_has_its_key(
    broker: MemoryBroker, profile: Profile, url: str, tmp_path: Path
) -> None:
    values = sealed(profile, tmp_path, "a")
    put(broker, profile, *values)
    preprocessed(broker, profile, at_hand(profile, tmp_path))
    database = open_database(url)
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM account_keys"))
    database.close()
    later: Any = at_hand(profile, tmp_path)
    stage = keyed_step(profile, 0, NO_SECRET, later)
    with pytest.raises(Retry, match=r"which the database .* never had: let TIDEGATE_DB name"):
        stage.replay(stage.new_state(0, 1), batch(values))
    with pytest.raises(Retry, match=r"which the database .* never had: let TIDEGATE_DB name"):
        persisted(url, broker, profile, later)
