"""A planted card number, looked for wherever it could have gone."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from consumers.discreet import WITHHELD, discreet
from consumers.label import LabelStage
from db.audit import verify
from tests.access.personal_data import (
    KIND,
    SECOND,
    body,
    broker_of,
    everything,
    on_disk,
    preprocessed,
    scored_row_of,
    set_clock,
)
from tests.access.web import applications, bearer, key
from tests.blocks import frames_on
from tests.model.features.chain import batch
from tests.producers.running_api import TOPICS
from tests.profile.test_tokens import ID_TOKEN, KEY, NUMBER, TOKEN, account, changed
from tests.web import persist, scored
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.dead_letters.listing import entries
from tidegate.dead_letters.redrive import redrive
from tidegate.dead_letters.selection import Selection
from tidegate.pipeline import BY_ENTITY_2, DLQ, FEEDBACK, RAW
from tidegate.profile import Profile
from tidegate.settings import Settings
from tidegate.stream.dead_letters import dead_letters


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setenv("TIDEGATE_TOKEN_KEY", KEY)
    return changed(tmp_path, TOKEN, ID_TOKEN)


@pytest.fixture
def apps(tokens: Profile, tmp_path: Path) -> Iterator[tuple[Flask, Flask]]:
    with applications(tmp_path, profile=str(tokens.path)) as both:
        yield both


def test_with_tokens_the_number_is_nowhere(
    apps: tuple[Flask, Flask], tokens: Profile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client, broker = apps[0].test_client(), broker_of(apps[0])
    columns = list(body("x"))
    cells = ",".join(str(value) for value in body(f"{NUMBER}-csv").values())
    posts: list[tuple[str, str, bytes]] = [
        ("/v1/transactions", "application/json", json.dumps(body(f"{NUMBER}-1")).encode()),
        ("/v1/transactions?wait_ms=1", "application/json", json.dumps(body("wait")).encode()),
        ("/v1/transactions/batch", "application/json", json.dumps([body("many")]).encode()),
        ("/v1/transactions/batch", "application/x-ndjson", json.dumps(body("line")).encode()),
        ("/v1/transactions/batch", "text/csv", f"{','.join(columns)}\n{cells}\n".encode()),
        ("/transaction", "application/json", json.dumps(body("compat")).encode()),
        (
            "/v1/feedback",
            "application/json",
            json.dumps({"verdict": "fraud", "transaction": body("told")}).encode(),
        ),
        (
            "/v1/feedback",
            "application/json",
            json.dumps({"verdict": "fraud", "transaction_id": f"{NUMBER}-1"}).encode(),
        ),
    ]
    answers = [client.post(path, data=raw, content_type=kind) for path, kind, raw in posts]
    assert [answer.status_code for answer in answers] == [202] * len(posts), answers
    bad = [body(NUMBER + "x" * 120), body("y", amount=-1), body("z", user_id=NUMBER * 2), {"x": 1}]
    answers += [client.post("/v1/transactions", json=one) for one in bad]
    answers += [client.post("/v1/transactions/batch", json=[one]) for one in bad]
    answers += [client.post("/v1/transactions", json=body(f"{NUMBER}-1", amount=3.5))]
    assert {answer.status_code for answer in answers[len(posts) :]} == {409, 422}

    preprocessed(broker, tokens)
    assert len(frames_on(broker, BY_ENTITY_2)) == 7
    frames = [scored(tokens, body(f"{NUMBER}-1"), "block", 0.9), scored(tokens, body("many"))]
    persist(Settings(home=tmp_path).db_url, broker, tokens, frames)
    found = [
        client.get(f"/v1/transactions/{NUMBER}-1"),
        client.get(f"/v1/transactions?id={NUMBER}-1"),
        client.get(f"/transaction/{NUMBER}-1"),
        client.get("/v1/transactions", query_string={"account": NUMBER}),
        apps[1].test_client().get(f"/transactions/{NUMBER}-1"),
        apps[1].test_client().get("/rows"),
    ]
    assert {answer.status_code for answer in found} == {200}
    assert len(found[3].get_json()["transactions"]) == 2
    missing = [
        client.get(f"/v1/transactions/{NUMBER}-nowhere"),
        apps[1].test_client().get(f"/transactions/{NUMBER}-nowhere"),
    ]
    shown = b"\n".join(
        [answer.data + repr(answer.headers).encode() for answer in answers + found + missing]
    )
    for where in (shown, everything(broker), on_disk(tmp_path), client.get("/metrics").data):
        assert where
        assert NUMBER.encode() not in where
    assert NUMBER not in caplog.text


def test_records_of_other_producers_get_tokens_or_become_letters_with_tokens(
    tokens: Profile, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    broker = set_clock(MemoryBroker(TOPICS | {RAW: 8}))
    for number in range(8):
        value = json.dumps(body(f"t-{number}", user_id=f"{NUMBER[:-1]}{number}")).encode()
        broker.append(RAW, f"{NUMBER[:-1]}{number}".encode(), value, [("who", value)], None)
    broken = json.dumps(body("broken")).encode()[:-1]
    broker.append(RAW, NUMBER.encode(), broken, None, None)
    broker.append(RAW, NUMBER.encode(), json.dumps(body("bad", amount=-1)).encode(), None, None)
    preprocessed(broker, tokens)
    letters = broker.committed_records(DLQ)
    done = len(frames_on(broker, BY_ENTITY_2))
    assert len(letters) + done == 10
    assert len(letters) > 2, "some tokens belong to other partitions than their values"
    told = b"".join(repr(record.headers).encode() for _, _, record in letters)
    assert WITHHELD.encode() in told
    redrive(broker, tokens, Selection(reason="wrong_partition"))
    preprocessed(broker, tokens)
    assert len(frames_on(broker, BY_ENTITY_2)) == 8, "each is where its token belongs"
    others = [topic for topic in TOPICS if topic != RAW]
    assert NUMBER[:-1].encode() not in everything(broker, *others)
    assert NUMBER[:-1] not in repr(entries(broker, tokens))
    assert NUMBER[:-1] not in caplog.text


def test_a_letter_from_before_is_put_back_with_a_token(tokens: Profile) -> None:
    broker = MemoryBroker(TOPICS)
    headers = [("tidegate-key", b"k"), ("tidegate-topic", RAW.encode())]
    broker.append(DLQ, NUMBER.encode(), json.dumps(body("old")).encode(), headers, None)
    assert redrive(broker, tokens, Selection(transaction="old")).redriven == {RAW: 1}
    [(_, _, record)] = broker.committed_records(RAW)
    assert record.key == tokens.stored("user_id", NUMBER).encode()
    assert NUMBER.encode() not in (record.value or b"")


def test_a_verdict_by_another_producer_is_on_the_token_of_its_id(tokens: Profile) -> None:
    stored = tokens.stored_id(f"{NUMBER}-1")
    rows = {stored: scored_row_of(tokens, stored)}
    stage = LabelStage(tokens, lambda ids: {name: rows[name] for name in ids if name in rows})
    verdict = {"transaction_id": f"{NUMBER}-1", "verdict": "fraud"}
    given = [verdict, verdict | {"transaction_id": NUMBER}, {"transaction_id": NUMBER, "x": 1}]
    values: list[bytes | None] = [*(json.dumps(each).encode() for each in given), b"{"]
    records = batch(values, topic=FEEDBACK, keys=[NUMBER.encode()] * 4)
    records.log_us = records.timestamps[0] * 1000 + 3_600_000_000
    output = stage.process(stage.new_state(0, 1), records)
    [labels, _] = output.emits
    assert list(labels.keys) == [stored.encode()]
    letters, rejects = discreet(tokens, records, output.rejects)
    dead = dead_letters("label", tokens.hash, letters, rejects, 0)
    assert len(dead.keys) == 3
    shown = repr((labels, dead.keys, dead.values, dead.headers, output.emits))
    assert NUMBER not in shown
    assert WITHHELD in shown


@pytest.fixture
def masked(tmp_path: Path) -> Profile:
    return changed(tmp_path, account("personal: true"), KIND)


def test_without_tokens_the_number_is_kept_and_not_shown(
    masked: Profile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with applications(tmp_path, profile=str(masked.path)) as (api, pages):
        client, broker = api.test_client(), broker_of(api)
        one = body("t-1", device_type=SECOND)
        assert client.post("/v1/transactions", json=one).status_code == 202
        bad = [one | {"amount": -1}, one | {"user_id": {"a": NUMBER}}, one | {"user_id": 411111}]
        answers = [client.post("/v1/transactions", json=each) for each in bad]
        assert {answer.status_code for answer in answers} == {422}
        broker.append(RAW, b"x", json.dumps(one | {"amount": -1}).encode(), None, None)
        preprocessed(broker, masked)
        reason = {"feature": "device_type", "value": 6.0, "contribution": 1.5, "pass_at_most": 2.0}
        frame = scored(masked, one, "block", 0.9, [reason])
        persist(Settings(home=tmp_path).db_url, broker, masked, [frame])
        answers += [
            client.get("/v1/transactions/t-1"),
            client.get("/v1/transactions", query_string={"account": NUMBER}),
            pages.test_client().get("/transactions/t-1"),
            pages.test_client().get("/rows"),
            client.get("/metrics"),
        ]
        row = answers[3].get_json()
        assert row["account"] == row["payload"]["user_id"] == "\u2022\u2022\u2022"
        assert row["features"]["device_type"] is None
        assert row["reasons"] == [{"feature": "device_type", "contribution": 1.5}]
        listed = repr(entries(broker, masked))
        shown = b"\n".join(answer.data for answer in answers)
        headers = [record.headers for _, _, record in broker.committed_records(DLQ)]
        assert headers
        for number in (NUMBER, SECOND, "411111"):
            assert number.encode() not in shown
            assert number not in listed + repr(headers) + caplog.text


def test_unmasking_needs_its_scope_and_is_told(masked: Profile, tmp_path: Path) -> None:
    with applications(tmp_path, profile=str(masked.path)) as (api, pages):
        url = Settings(home=tmp_path).db_url
        persist(url, broker_of(api), masked, [scored(masked, body("t-1"))])
        reader, seer = key(tmp_path, "reader", "read"), key(tmp_path, "seer", "read", "unmask")
        client, path = api.test_client(), "/v1/transactions/t-1?unmask=true"
        for denied in (client.get(path), client.get(path, headers=bearer(reader))):
            assert denied.status_code == 403
            assert b"needs the scope unmask" in denied.data
            assert NUMBER.encode() not in denied.data
        wrong = client.get("/v1/transactions/t-1?unmask=yes", headers=bearer(seer))
        assert wrong.status_code == 422
        told = verify(url).entries
        seen = [
            client.get(path, headers=bearer(seer)),
            client.get("/v1/transactions?id=t-1&unmask=true", headers=bearer(seer)),
            pages.test_client().post("/transactions/t-1/unmasked", headers=bearer(seer)),
        ]
        for answer in seen:
            assert answer.status_code == 200
            assert NUMBER.encode() in answer.data
        assert verify(url).entries == told + len(seen)
        assert NUMBER.encode() not in client.get("/v1/transactions/t-1", headers=bearer(seer)).data
        offered = pages.test_client().get("/transactions/t-1", headers=bearer(seer))
        assert b"Show what is masked" in offered.data
        hidden = pages.test_client().get("/transactions/t-1", headers=bearer(reader))
        assert b"Show what is masked" not in hidden.data
