"""What topics hold of an erasable profile: nothing that is read without the account's key."""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask

from consumers.erasable import keyed_step
from consumers.preprocess import PreprocessStage
from consumers.repeats import REPEAT
from db.account_keys import vault_of
from db.erasing import erase
from db.store import Store
from model.sip import NO_SECRET
from tests.access.personal_data import everything, on_disk, preprocessed
from tests.blocks import frames_on
from tests.erasing.steps import ERASABLE, OTHER, PLANTED, at_hand, body, persisted, scored_frames
from tests.producers.running_api import TOPICS
from tests.profile.test_tokens import KEY, NUMBER, TOKEN, changed
from tests.web import scored, transaction
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.dead_letters.redrive import redrive
from tidegate.dead_letters.selection import Selection
from tidegate.messages.ciphertext import key_id
from tidegate.pipeline import BY_ENTITY_2, DLQ, RAW, SCORED
from tidegate.profile import Profile
from tidegate.settings import Settings


def test_a_planted_remark_is_on_no_topic_and_in_its_row(
    apps: tuple[Flask, Flask], profile: Profile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client, url = apps[0].test_client(), Settings(home=tmp_path).db_url
    broker: MemoryBroker = apps[0].extensions["tidegate"].broker
    posts = [body("a"), body("b", user_id=OTHER), body("c")]
    assert client.post("/v1/transactions", json=posts[0]).status_code == 202
    assert client.post("/v1/transactions/batch", json=posts[1:]).status_code == 202
    assert client.post("/v1/transactions", json=posts[0]).status_code == 202, "a duplicate"
    assert client.post("/v1/transactions", json=body("a", amount=3.5)).status_code == 409
    plain = json.dumps(body("d"), separators=(",", ":")).encode()
    broker.append(RAW, profile.stored("user_id", NUMBER).encode(), plain, None, None)
    vault = at_hand(profile, tmp_path)
    preprocessed(broker, profile, vault)
    assert len(frames_on(broker, BY_ENTITY_2)) == 4
    raw = [record.value for _, _, record in broker.committed_records(RAW)]
    assert [value for value in raw if key_id(value) is None] == [plain], "another producer's"
    others = everything(broker, *(topic for topic in TOPICS if topic != RAW))
    assert PLANTED.encode() not in others
    assert persisted(url, broker, profile, vault) == {}
    with_hash = client.get("/v1/transactions/a").get_json()
    assert with_hash["payload"]["note"] == PLANTED
    store = Store(url, profile)
    assert store.count() == 4
    row = store.get("a")
    store.close()
    assert row is not None
    assert row["body_hash"] == profile.body_hash(row["payload"].encode()).hex()
    assert PLANTED not in caplog.text


def test_the_results_page_shows_what_it_reads_from_the_topic(
    apps: tuple[Flask, Flask], profile: Profile, tmp_path: Path
) -> None:
    broker: MemoryBroker = apps[0].extensions["tidegate"].broker
    vault, live = at_hand(profile, tmp_path), apps[1].extensions["tidegate"].live
    apps[0].test_client().post("/v1/transactions/batch", json=[body("a"), body("b", user_id=OTHER)])
    preprocessed(broker, profile, vault)
    erase(Settings(home=tmp_path).db_url, profile.stored("user_id", OTHER), "ann")
    frames = scored_frames(broker, profile)
    blank: list[Any] = [None] * len(frames)
    live.absorb(Batch(TopicPartition(SCORED, 0), [0, 1], blank, list(frames), [0, 0], blank))
    [row] = live.newer(0, None, 10)[1]
    assert msgspec.json.decode(row["payload"])["note"] == PLANTED
    layout = profile.scored_layout
    forged = layout.unpack(frames)
    forged.payloads = [payload[:-1] + bytes([payload[-1] ^ 1]) for payload in forged.payloads]
    values: list[bytes | None] = [*layout.pack(forged)]
    live.absorb(Batch(TopicPartition(SCORED, 0), [2, 3], blank, values, [0, 0], blank))
    assert len(live.newer(0, None, 10)[1]) == 1


def test_a_repeat_a_conflict_and_a_record_that_was_changed(
    apps: tuple[Flask, Flask], profile: Profile, tmp_path: Path
) -> None:
    broker: MemoryBroker = apps[0].extensions["tidegate"].broker
    token, vault = profile.stored("user_id", NUMBER).encode(), at_hand(profile, tmp_path)
    value = profile.canonical(profile.decode(json.dumps(body("a")).encode()))
    sent = vault.encrypt([token] * 3, [value, value, value.replace(b"12.5", b"13.5")])
    changed_one = sent[0][:-1] + bytes([sent[0][-1] ^ 1])
    for each in (*sent, changed_one):
        broker.append(RAW, token, each, None, None)
    stage = keyed_step(profile, 0, NO_SECRET, vault)
    found: list[dict[str, int]] = []
    process = stage.process

    def watched(state: Any, batch: Batch) -> Any:  # noqa: ANN401 - as the stage's own
        output = process(state, batch)
        found.append(dict(output.passed))
        return output

    stage.process = watched  # type: ignore[method-assign]
    preprocessed(broker, profile, vault, stage)
    assert found == [{REPEAT: 1}]
    letters = [record for _, _, record in broker.committed_records(DLQ)]
    found_there = {
        dict(letter.headers or [])["tidegate-reason"]: letter.value for letter in letters
    }
    assert found_there == {b"conflicting_duplicate": sent[2], b"not_opened": changed_one}


def test_a_post_without_its_key_is_503_and_loses_nothing(
    apps: tuple[Flask, Flask], tmp_path: Path
) -> None:
    client, broker = apps[0].test_client(), apps[0].extensions["tidegate"].broker
    with closing(sqlite3.connect(tmp_path / "tidegate.db")) as database:
        database.execute("ALTER TABLE account_keys RENAME TO elsewhere")
        answer = client.post("/v1/transactions", json=body("a"))
        assert (answer.status_code, answer.get_json()["type"]) == (503, "/docs#database_away")
        assert "safe to retry with the same id" in answer.get_json()["detail"]
        assert broker.committed_records(RAW) == []
        database.execute("ALTER TABLE elsewhere RENAME TO account_keys")
    assert client.post("/v1/transactions", json=body("a")).status_code == 202
    assert len(broker.committed_records(RAW)) == 1


@pytest.mark.usefixtures("url")
def test_a_letter_from_before_is_put_back_encrypted(profile: Profile, tmp_path: Path) -> None:
    broker, vault = MemoryBroker(TOPICS), at_hand(profile, tmp_path)
    headers = [("tidegate-key", b"k"), ("tidegate-topic", RAW.encode())]
    broker.append(DLQ, NUMBER.encode(), json.dumps(body("old")).encode(), headers, None)
    done = redrive(broker, profile, Selection(transaction="old"), vault=vault)
    assert done.redriven == {RAW: 1}
    [(_, _, record)] = broker.committed_records(RAW)
    assert record.key == profile.stored("user_id", NUMBER).encode()
    [plain] = vault.decrypt([record.value])
    assert plain != record.value
    assert json.loads(plain or b"")["note"] == PLANTED


def test_another_profile_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_TOKEN_KEY", KEY)
    plain = changed(tmp_path, TOKEN)
    assert vault_of(plain, f"sqlite:///{tmp_path}/none.db") is None
    assert type(keyed_step(plain, 0, NO_SECRET)) is PreprocessStage
    assert plain.body_hash(b"{}") != changed(tmp_path, TOKEN, ERASABLE).body_hash(b"{}")
    assert scored(plain, transaction("a"))
    assert on_disk(tmp_path) == b""
