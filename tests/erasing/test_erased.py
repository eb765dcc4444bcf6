"""An account is erased: what its records on the topics come to, for each reader of ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask import Flask

from cli.skip import judge_of, refused
from consumers.erasable import keyed_step
from db.erasing import erase, ids_secret
from db.reconcile.reconcile import Reconciler
from db.store import Store
from model.evaluation.cases import Span, from_topic
from model.sip import NO_SECRET
from tests.access.personal_data import everything, preprocessed, set_clock
from tests.blocks import frames_on
from tests.erasing.steps import OTHER, PLANTED, at_hand, body, handed_on, persisted, scored_frames
from tests.model.features.chain import batch
from tests.producers.running_api import TOPICS
from tests.profile.test_tokens import NUMBER
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import TopicPartition
from tidegate.clock import now_us
from tidegate.dead_letters.listing import entries
from tidegate.dead_letters.redrive import redrive
from tidegate.dead_letters.selection import Selection
from tidegate.errors import Stop
from tidegate.messages.ciphertext import ERASED, key_id
from tidegate.pipeline import BY_ENTITY_2, DLQ, RAW
from tidegate.profile import Profile
from tidegate.settings import Settings


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
    assert erase(url, token, "ann", ids_secret(profile))[:2] == (2, True)

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
    assert len(frames_on(again, BY_ENTITY_2)) == 2, "folded anew, it is passed over"
    assert again.committed_records(DLQ) == []
    assert PLANTED.encode() not in everything(broker)
    store = Store(url, profile)
    assert store.existing(["a1", "a2", "b1", "b2"]) == {"b1", "b2"}
    store.close()


def test_a_fold_anew_is_bit_for_bit_that_of_the_others(
    profile: Profile, url: str, tmp_path: Path
) -> None:
    vault = at_hand(profile, tmp_path)
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
    profile: Profile, url: str, tmp_path: Path
) -> None:
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
    assert len(frames_on(broker, BY_ENTITY_2)) == 7
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


def test_skipping_takes_only_bad_records_for_bad(
    profile: Profile, url: str, tmp_path: Path
) -> None:
    broker, vault = set_clock(MemoryBroker(TOPICS | {RAW: 1})), at_hand(profile, tmp_path)
    tokens = [profile.stored("user_id", user).encode() for user in (NUMBER, OTHER)]
    payloads = [
        profile.canonical(profile.decode(json.dumps(body("t", user_id=user)).encode()))
        for user in (NUMBER, OTHER)
    ]
    for value in (*vault.encrypt(tokens, payloads), b"{}"):
        broker.append(RAW, b"key", value, None, None)
    erase(url, tokens[1].decode(), "ann", ids_secret(profile))
    judge, later = judge_of(profile, "preprocess"), at_hand(profile, tmp_path)
    found = refused(broker, TopicPartition(RAW, 0), 0, 3, judge, later)
    assert [(record.offset, record.reason) for record in found] == [(2, "missing_field")]
