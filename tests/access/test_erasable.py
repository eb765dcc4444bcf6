"""What topics hold of an erasable profile: nothing that is read without the account's key."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from flask import Flask

from cli.skip import judge_of, refused
from consumers.discreet import discreet
from consumers.erasable import ErasablePersist, keyed_step
from consumers.preprocess import PreprocessStage
from consumers.repeats import REPEAT
from db.account_keys import vault_of
from db.erasing import erase, ids_secret
from db.names import names_of
from db.sink import SqlSink
from db.store import Store
from model.evaluation.cases import Span, from_topic
from model.sip import NO_SECRET
from producers.reconcile.reconcile import Reconciler
from producers.redrive.listing import entries
from producers.redrive.redrive import Selection, redrive
from tests.access.test_personal import everything, on_disk, set_clock
from tests.access.web import applications
from tests.model.features.chain import batch
from tests.producers.running_api import TOPICS
from tests.profile.test_tokens import KEY, NUMBER, TOKEN, changed
from tests.web import scored, transaction
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.clock import now_us
from tidegate.errors import Stop
from tidegate.messages.ciphertext import ERASED, key_id
from tidegate.messages.vault import Vault
from tidegate.pipeline import BY_ENTITY_2, DLQ, RAW, SCORED, group_of
from tidegate.profile import Profile
from tidegate.settings import Settings
from tidegate.stream.runner import Runner
from tidegate.stream.sink import KafkaSink

PLANTED = "a planted remark"
ERASABLE = "account: user_id", "account: user_id\nerasable: true\nunknown_fields: keep"
OTHER = "5500000000000004"
OPENED: list[Vault] = []


def body(identity: str, **changes: object) -> dict[str, Any]:
    return transaction(identity, **({"user_id": NUMBER, "note": PLANTED} | changes))


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setenv("TIDEGATE_TOKEN_KEY", KEY)
    return changed(tmp_path, TOKEN, ERASABLE)


@pytest.fixture
def apps(profile: Profile, tmp_path: Path) -> Iterator[tuple[Flask, Flask]]:
    with applications(tmp_path, profile=str(profile.path)) as both:
        set_clock(both[0].extensions["tidegate"].broker)
        yield both


def at_hand(profile: Profile, home: Path) -> Vault:
    """A new process's: it has no key at hand yet."""
    vault = vault_of(profile, Settings(home=home).db_url)
    assert vault is not None
    OPENED.append(vault)
    return vault


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def preprocessed(
    broker: MemoryBroker, profile: Profile, vault: Vault, stage: PreprocessStage | None = None
) -> PreprocessStage:
    """All that is on the raw topic, by the first keyed step."""
    stage = stage or keyed_step(profile, 0, NO_SECRET, vault)
    consumer = broker.consumer(group_of(stage.name))
    letters = partial(discreet, profile, vault=vault)
    sink = KafkaSink(
        broker,
        consumer,
        stage.name,
        instance="0",
        profile=profile.hash,
        clock=now_us,
        letters=letters,
    )
    run = Runner(stage, broker, consumer, sink, snapshots=None)
    for _ in range(15):
        run.run_once()
    run.close()
    return stage


def scored_frames(broker: MemoryBroker, profile: Profile) -> list[bytes]:
    """What the scorer would make of all frames of the first step: their tails as they are."""
    frames = [record.value or b"" for _, _, record in broker.committed_records(BY_ENTITY_2)]
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
    sink = SqlSink(url, broker, names_of(profile), clock=now_us)
    source, count = TopicPartition(SCORED, 0), len(frames)
    start = sink.positions([source]).get(source, Position(0)).offset
    offsets = list(range(start, start + count))
    blank: list[Any] = [None] * count
    batch = Batch(source, offsets, blank, list(frames), [0] * count, blank)
    output = stage.process(stage.new_state(0, 1), batch)
    sink.write([(batch, output)], {source: Position(start + count)})
    sink.close()
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
    assert len(broker.committed_records(BY_ENTITY_2)) == 4
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


def test_after_an_account_is_erased_nothing_of_ours_reads_it(
    apps: tuple[Flask, Flask], profile: Profile, tmp_path: Path
) -> None:
    client, url = apps[0].test_client(), Settings(home=tmp_path).db_url
    broker: MemoryBroker = apps[0].extensions["tidegate"].broker
    sent = [body("a1"), body("b1", user_id=OTHER), body("a2"), body("b2", user_id=OTHER)]
    assert client.post("/v1/transactions/batch", json=sent).status_code == 202
    preprocessed(broker, profile, at_hand(profile, tmp_path))
    frames = scored_frames(broker, profile)
    token = profile.stored("user_id", NUMBER)
    assert persisted(url, broker, profile, at_hand(profile, tmp_path)) == {}
    assert erase(url, token, "ann", ids_secret(profile)) == (2, True)

    later = at_hand(profile, tmp_path)
    for _, _, record in broker.committed_records(RAW):
        [value] = later.decrypt([record.value])
        assert (value == ERASED) == (record.key == token.encode())
    payloads = profile.scored_layout.unpack(frames).payloads
    assert later.decrypt(payloads).count(ERASED) == 2
    assert persisted(url, broker, profile, later) == {"erased": 2}
    cases = from_topic(profile, broker, Span(), lambda _share, _what: None, later)
    assert set(cases.ids) == {"b1", "b2"}
    assert (cases.read, cases.rejected) == (4, 0)
    again = set_clock(MemoryBroker(TOPICS))
    for _, _, record in broker.committed_records(RAW):
        again.append(RAW, record.key, record.value, record.headers, None)
    preprocessed(again, profile, later)
    assert len(again.committed_records(BY_ENTITY_2)) == 2, "folded anew, it is passed over"
    assert again.committed_records(DLQ) == []
    assert PLANTED.encode() not in everything(broker)
    store = Store(url, profile)
    assert store.existing(["a1", "a2", "b1", "b2"]) == {"b1", "b2"}
    store.close()


def test_a_fold_anew_is_bit_for_bit_that_of_the_others(profile: Profile, tmp_path: Path) -> None:
    with applications(tmp_path, profile=str(profile.path)):
        pass  # makes the tables
    vault, url = at_hand(profile, tmp_path), Settings(home=tmp_path).db_url
    sent = [body(f"t{n}", user_id=(NUMBER, OTHER)[n % 2], amount=n + 1) for n in range(10)]
    plain = [profile.canonical(profile.decode(json.dumps(each).encode())) for each in sent]
    accounts = [profile.stored("user_id", str(each["user_id"])).encode() for each in sent]
    log = batch(list(vault.encrypt(accounts, plain)))
    log.timestamps = [now_us() // 1000] * len(plain)
    erase(url, accounts[0].decode(), "ann", ids_secret(profile))
    stage = keyed_step(profile, 0, NO_SECRET, at_hand(profile, tmp_path))
    digests = set()
    for fold, records in (
        (stage.process, log),
        (stage.replay, log),
        (stage.process, log.take([1, 3, 5, 7, 9])),
    ):
        state = stage.new_state(0, 1)
        empty = state.digest()
        state.begin()
        fold(state, records)
        state.commit()
        assert state.digest() != empty
        digests.add(state.digest())
    assert len(digests) == 1


def test_reconciling_calls_what_was_erased_erased(
    apps: tuple[Flask, Flask], profile: Profile, tmp_path: Path
) -> None:
    client, url = apps[0].test_client(), Settings(home=tmp_path).db_url
    broker: MemoryBroker = apps[0].extensions["tidegate"].broker
    client.post("/v1/transactions/batch", json=[body("a1"), body("b1", user_id=OTHER)])
    plain = json.dumps(body("a2")).encode()
    broker.append(RAW, profile.stored("user_id", NUMBER).encode(), plain, None, None)
    vault = at_hand(profile, tmp_path)
    preprocessed(broker, profile, vault)
    persisted(url, broker, profile, vault)
    handed_on(broker, profile)
    erase(url, profile.stored("user_id", NUMBER), "ann", ids_secret(profile))
    reconciler = Reconciler(broker, profile, url)
    totals = reconciler.run()
    reconciler.close()
    assert (totals.of("erased"), totals.of("missing"), totals.records) == (2, 0, 3)


def test_dead_letters_are_encrypted_and_put_back_unless_they_are_erased(
    profile: Profile, tmp_path: Path
) -> None:
    with applications(tmp_path, profile=str(profile.path)):
        pass  # makes the tables
    url = Settings(home=tmp_path).db_url
    broker, vault = set_clock(MemoryBroker(TOPICS | {RAW: 8})), at_hand(profile, tmp_path)
    accounts = [f"{NUMBER[:-1]}{number}" for number in range(8)]
    for number, account in enumerate(accounts):
        value = json.dumps(body(f"t-{number}", user_id=account)).encode()
        broker.append(RAW, account.encode(), value, None, None)
    bad = json.dumps(body("bad", amount=-1)).encode()
    broker.append(RAW, profile.stored("user_id", NUMBER).encode(), bad, None, None)
    preprocessed(broker, profile, vault)
    letters = broker.committed_records(DLQ)
    assert len(letters) > 3
    assert all(key_id(record.value) for _, _, record in letters)
    listed = {entry.transaction_id for entry in entries(broker, profile, vault=vault)}
    assert "bad" in listed
    gone = next(entry for entry in listed if entry != "bad")
    erase(url, profile.stored("user_id", accounts[int(gone[2:])]), "ann", ids_secret(profile))
    later, wrong = at_hand(profile, tmp_path), Selection(reason="wrong_partition")
    with pytest.raises(Stop, match="its account was erased"):
        redrive(broker, profile, wrong, vault=later)
    done = redrive(broker, profile, wrong, policy="drop", vault=later)
    assert done.dropped == 1
    on_raw = [key_id(record.value) for _, _, record in broker.committed_records(RAW)]
    assert (len(on_raw), on_raw.count(None)) == (9 + len(letters) - 2, 9), "all but two"
    preprocessed(broker, profile, later)
    assert len(broker.committed_records(BY_ENTITY_2)) == 7
    others = [topic for topic in TOPICS if topic != RAW]
    assert PLANTED.encode() not in everything(broker, *others)


def test_an_account_that_comes_again_has_a_new_key(
    apps: tuple[Flask, Flask], profile: Profile, tmp_path: Path
) -> None:
    url = Settings(home=tmp_path).db_url
    broker: MemoryBroker = apps[0].extensions["tidegate"].broker
    token = profile.stored("user_id", NUMBER).encode()
    [old] = at_hand(profile, tmp_path).encrypt([token], [b"{}"])
    erase(url, token.decode(), "ann", ids_secret(profile))
    assert apps[0].test_client().post("/v1/transactions", json=body("a1")).status_code == 202
    later = at_hand(profile, tmp_path)
    preprocessed(broker, profile, later)
    assert persisted(url, broker, profile, later) == {}
    assert later.decrypt([old]) == [ERASED]
    assert apps[0].test_client().get("/v1/transactions/a1").get_json()["payload"]["note"] == PLANTED


def test_a_letter_from_before_is_put_back_encrypted(profile: Profile, tmp_path: Path) -> None:
    with applications(tmp_path, profile=str(profile.path)):
        pass  # makes the tables
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
    assert found_there == {b"conflicting_duplicate": sent[2], b"invalid_utf8": changed_one}


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


def test_skipping_takes_only_bad_records_for_bad(profile: Profile, tmp_path: Path) -> None:
    with applications(tmp_path, profile=str(profile.path)):
        pass  # makes the tables
    broker, vault = set_clock(MemoryBroker(TOPICS | {RAW: 1})), at_hand(profile, tmp_path)
    tokens = [profile.stored("user_id", user).encode() for user in (NUMBER, OTHER)]
    payloads = [
        profile.canonical(profile.decode(json.dumps(body("t", user_id=user)).encode()))
        for user in (NUMBER, OTHER)
    ]
    for value in (*vault.encrypt(tokens, payloads), b"{}"):
        broker.append(RAW, b"key", value, None, None)
    erase(Settings(home=tmp_path).db_url, tokens[1].decode(), "ann", ids_secret(profile))
    judge, later = judge_of(profile, "preprocess"), at_hand(profile, tmp_path)
    found = refused(broker, TopicPartition(RAW, 0), 0, 3, judge, later)
    assert [(record.offset, record.reason) for record in found] == [(2, "missing_field")]


def test_another_profile_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_TOKEN_KEY", KEY)
    plain = changed(tmp_path, TOKEN)
    assert vault_of(plain, f"sqlite:///{tmp_path}/none.db") is None
    assert type(keyed_step(plain, 0, NO_SECRET)) is PreprocessStage
    assert plain.body_hash(b"{}") != changed(tmp_path, TOKEN, ERASABLE).body_hash(b"{}")
    assert scored(plain, transaction("a"))
    assert on_disk(tmp_path) == b""
