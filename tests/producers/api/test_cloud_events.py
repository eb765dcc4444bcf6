"""CloudEvents as bodies, and what becomes of the same event on Kafka."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from producers.api.cloud_events import MANY, ONE
from tests.access.web import applications
from tests.web import JSON, transaction
from tidegate.profile import Profile, load_profile


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Flask]:
    with applications(tmp_path) as (app, _):
        yield app


def event(**changes: object) -> dict[str, Any]:
    """Around a transaction without an id; a change to `...` leaves the attribute out."""
    made = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/bank",
        "type": "payment.made",
        "data": transaction(None, transaction_id=...),
    } | changes
    return {name: value for name, value in made.items() if value is not ...}


def post(api: Flask, body: object, kind: str = ONE, **headers: str) -> tuple[int, dict[str, Any]]:
    path = "/v1/transactions" + ("/batch" if kind == MANY else "")
    raw = body if isinstance(body, bytes) else json.dumps(body)
    answer = api.test_client().post(path, data=raw, content_type=kind, headers=headers)
    return answer.status_code, answer.get_json()


def test_the_data_is_the_transaction(api: Flask) -> None:
    data = transaction("t-1")
    encoded = b64encode(json.dumps(data).encode()).decode()
    for body in (event(data=data), event(data=..., data_base64=encoded)):
        assert post(api, body) == (202, {"transaction_id": "t-1", "status": "accepted"})
        assert post(api, body, f"{ONE}; charset=utf-8")[0] == 202
    changed = event(data=data | {"amount": 1})
    assert post(api, changed)[1]["type"] == "/docs#conflicting_duplicate"


def test_a_transaction_without_an_id_gets_one_of_the_event(api: Flask) -> None:
    """So that an event which is delivered again is the same transaction, whatever else it says."""
    first = post(api, event())[1]["transaction_id"]
    assert post(api, event(time="2026-01-01T00:00:00Z"))[1]["transaction_id"] == first
    assert post(api, event(), idempotency_key="k-1")[1]["transaction_id"] == first
    others = [event(id="e-2"), event(source="/shop"), event(source="/bank\ne", id="1")]
    assert len({first, *(post(api, one)[1]["transaction_id"] for one in others)}) == 4


def test_each_event_of_a_batch_is_answered_by_itself(api: Flask) -> None:
    first = post(api, event())[1]["transaction_id"]
    bad = [event(id=...), event(data=event()["data"] | {"amount": -1}), "no event"]
    status, answer = post(api, [event(), *bad, event(id="e-2")], MANY)
    assert (status, answer["accepted"]) == (202, 2)
    assert answer["generated_ids"]["0"] == first
    assert answer["generated_ids"].keys() == {"0", "4"}
    assert [one["index"] for one in answer["rejected"]] == [1, 2, 3]
    fields = [one["problem"].get("errors") for one in answer["rejected"]]
    assert [one[0]["field"] for one in fields[:2]] == ["id", "amount"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (event(id=""), 422, "id"),
        (event(source=7), 422, "source"),
        (event(type=...), 422, "type"),
        (event(specversion="0.3"), 422, "specversion"),
        (event(data=...), 422, "data"),
        (event(data=..., data_base64="?"), 422, "data"),
        (event(data=[1]), 422, ""),
        ([event()], 422, None),
        (b"{", 400, None),
        (b'{"id": "\xff"}', 400, None),
        (b'{"a":' * 100_000, 413, None),
    ],
)
def test_what_is_no_event_is_told_why(
    api: Flask, body: object, status: int, field: str | None
) -> None:
    told, problem = post(api, body)
    assert told == status, problem
    if field is not None:
        assert problem["errors"][0]["field"] == field, problem


HEADERS = {
    "ce-specversion": "1.0",
    "ce-id": "e-1",
    "ce-source": "/bank",
    "ce-type": "payment.made",
}


def test_a_body_with_the_headers_of_an_event_is_its_data(api: Flask) -> None:
    """And so the same transaction as in the structured mode, where it has no id of its own."""
    data, first = event()["data"], post(api, event())[1]["transaction_id"]
    assert post(api, data, JSON, **HEADERS)[1]["transaction_id"] == first
    assert post(api, data, f"{JSON}; charset=utf-8", **HEADERS)[1]["transaction_id"] == first
    other = HEADERS | {"ce-id": "e-2"}
    assert post(api, data, JSON, **other)[1]["transaction_id"] != first
    assert post(api, transaction("t-1"), JSON, **HEADERS)[1]["transaction_id"] == "t-1"
    assert post(api, event(), ONE, **other)[1]["transaction_id"] == first


def test_the_encoding_of_headers_is_taken_off(api: Flask) -> None:
    told = post(api, event(source="/bänk 100%", id='a"b'))[1]["transaction_id"]
    for source, event_id in (
        ("/b%C3%A4nk%20100%25", "a%22b"),
        ('"/b%C3%A4nk 100%25"', '"a\\"b"'),
    ):
        headers = HEADERS | {"ce-source": source, "ce-id": event_id}
        assert post(api, event()["data"], JSON, **headers)[1]["transaction_id"] == told


def test_two_events_of_one_idempotency_key_are_not_taken_for_one(api: Flask) -> None:
    data, key = event()["data"], {"idempotency-key": "k-1"}
    first = post(api, data, JSON, **HEADERS, **key)
    assert post(api, data, JSON, **HEADERS, **key) == first
    status, problem = post(api, data, JSON, **HEADERS | {"ce-id": "e-2"}, **key)
    assert (status, problem["type"]) == (409, "/docs#conflicting_key")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce-specversion", "0.3"),
        ("ce-id", ""),
        ("ce-source", "%FF"),
        ("ce-type", ""),
    ],
)
def test_headers_that_are_wrong_are_named(api: Flask, name: str, value: str) -> None:
    status, problem = post(api, event()["data"], JSON, **HEADERS | {name: value})
    assert (status, problem["errors"][0]["field"]) == (422, name)


def test_an_event_in_the_binary_mode_is_no_batch(api: Flask) -> None:
    answer = api.test_client().post(
        "/v1/transactions/batch", json=[event()["data"]], headers=HEADERS
    )
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (422, "ce-specversion")


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    path = tmp_path / "events.yaml"
    card = load_profile("card").path.read_text()
    path.write_text("envelope: cloudevents\n" + card)
    return load_profile(path)


@pytest.mark.parametrize("written", [str, str.encode, lambda text: f'"{text}"'.encode()])
def test_on_kafka_the_same_event_is_the_same_transaction(
    api: Flask,
    profile: Profile,
    written: Any,  # noqa: ANN401 - text or bytes
) -> None:
    """Structured or binary; a header is bytes or text, or JSON as some converters write it."""
    assert profile.envelope
    posted = post(api, event())[1]["transaction_id"]
    structured = profile.envelope.open(json.dumps(event()).encode())
    data = json.dumps(event()["data"]).encode()
    headers = [("ce_id", written("e-1")), ("ce_source", written("/bank"))]
    binary = profile.envelope.open(data, headers)
    for opened in (structured, binary):
        assert isinstance(opened, bytes)
        assert json.loads(opened)["transaction_id"] == posted
        assert profile.faults(opened, 0) == []
    own = profile.envelope.open(json.dumps(transaction("t-1")).encode(), headers)
    assert isinstance(own, bytes)
    assert json.loads(own)["transaction_id"] == "t-1"
    bare = profile.envelope.open(data)
    assert isinstance(bare, bytes)
    assert "transaction_id" not in json.loads(bare)
