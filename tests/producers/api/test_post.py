"""Posting: what is durable on 202, ids, repeats and conflicts."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.web import Server, transaction
from tidegate.broker.ports import Broker
from tidegate.pipeline import FEEDBACK, RAW
from tidegate.profile import Profile
from tidegate.stream.side_topic import read_range


def records(broker: Broker, topic: str) -> list[tuple[bytes | None, Any]]:
    """Key and decoded value of all records of a topic now, whoever else wrote to it, in
    transactions too.
    """
    consumer = broker.consumer(None)
    try:
        return [
            (key, json.loads(value or b""))
            for source in consumer.partitions(topic)
            for batch in read_range(consumer, source, *consumer.bounds(source), 1000)
            for key, value in zip(batch.keys, batch.values, strict=True)
        ]
    finally:
        consumer.close()


def named(broker: Broker, transaction_id: str) -> list[tuple[bytes | None, Any]]:
    return [
        (key, value)
        for key, value in records(broker, RAW)
        if value["transaction_id"] == transaction_id
    ]


def fresh() -> str:
    return f"t-{uuid.uuid4()}"


def test_202_means_on_the_topic(api: Server, broker: Broker) -> None:
    body = transaction(fresh(), amount=99.25, is_online=None)
    answer = api.post("/v1/transactions", body)
    assert answer.status == 202
    assert answer.json() == {"transaction_id": body["transaction_id"], "status": "accepted"}
    assert answer.headers["location"] == f"/v1/transactions/{body['transaction_id']}"
    del body["is_online"]  # null is the same as nothing
    assert named(broker, body["transaction_id"]) == [(b"u-17", body)]


def test_a_repeat_is_accepted_and_another_body_is_a_conflict(api: Server, broker: Broker) -> None:
    body = transaction(fresh())
    reordered = dict(reversed(body.items()))
    assert [api.post("/v1/transactions", each).status for each in (body, body, reordered)] == [
        202,
        202,
        202,
    ]
    refused = api.post("/v1/transactions", body | {"amount": 13})
    assert (refused.status, refused.json()["type"]) == (409, "/docs#conflicting_duplicate")
    assert len({json.dumps(value) for _, value in named(broker, body["transaction_id"])}) == 1


def test_the_owner_of_an_id_is_not_refused_because_of_another_account(
    api: Server, broker: Broker
) -> None:
    """The worker has met the other one first; which of them stays, the log decides."""
    body = transaction(fresh())
    assert api.post("/v1/transactions", body | {"user_id": "loser"}).status == 202
    assert [api.post("/v1/transactions", body).status for _ in range(2)] == [202, 202]
    assert len(named(broker, body["transaction_id"])) == 2
    assert api.post("/v1/transactions", body | {"amount": 13}).status == 409


def test_a_missing_id_is_made_or_derived(api: Server, broker: Broker) -> None:
    nameless = transaction(None, transaction_id=...)
    made = [api.post("/v1/transactions", nameless).json()["transaction_id"] for _ in range(2)]
    assert made[0] < made[1], "generated ids sort by time"
    assert len(named(broker, made[0])) == 1
    key, body = fresh(), transaction(None)
    derived = {
        api.post("/v1/transactions", body, Idempotency_Key=key).json()["transaction_id"]
        for _ in range(3)
    }
    assert len(derived) == 1
    assert len(named(broker, *derived)) == 1
    changed = api.post("/v1/transactions", body | {"amount": 1}, Idempotency_Key=key)
    assert (changed.status, changed.json()["type"]) == (409, "/docs#conflicting_key")
    own = transaction(fresh())
    assert (
        api.post("/v1/transactions", own, Idempotency_Key=fresh()).json()["transaction_id"]
        == own["transaction_id"]
    )


def test_100_concurrent_posts_of_one_id(api: Server, broker: Broker) -> None:
    body = transaction(fresh())
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: api.post("/v1/transactions", body), range(100)))
    assert {answer.status for answer in answers} == {202}
    found = named(broker, body["transaction_id"])
    assert 1 <= len(found) <= 100, "the first keyed step drops what was under way at once"
    assert all(value == body for _, value in found)


def test_a_batch_takes_the_good_and_names_the_bad(api: Server, broker: Broker) -> None:
    ids = [fresh() for _ in range(3)]
    items = [
        transaction(ids[0]),
        transaction(fresh(), amount=-1),
        transaction(ids[1]),
        transaction(ids[1]),
        transaction(ids[1], amount=7),
        "text",
        transaction(None, transaction_id=...),
        transaction(ids[2]),
    ]
    answer = api.post("/v1/transactions/batch", items)
    result = answer.json()
    assert (answer.status, result["accepted"]) == (202, 5)
    assert list(result["generated_ids"]) == ["6"]
    refused = {
        one["index"]: (one["id"], one["problem"]["status"], one["problem"].get("reason"))
        for one in result["rejected"]
    }
    assert refused == {
        1: (items[1]["transaction_id"], 422, "out_of_bounds"),  # type: ignore[index]
        4: (ids[1], 409, None),
        5: (None, 422, "not_an_object"),
    }
    assert all(named(broker, one) for one in [*ids, result["generated_ids"]["6"]])


def test_a_batch_as_lines(api: Server, broker: Broker) -> None:
    ids = [fresh(), fresh()]
    lines = b"\n".join(
        [
            json.dumps(transaction(ids[0])).encode(),
            b"",
            b'{"user_id": "\xff"}',
            b'{"user_id',
            json.dumps(transaction(ids[1])).encode(),
            b"",
        ]
    )
    answer = api.post("/v1/transactions/batch", lines, "application/x-ndjson")
    assert answer.json()["accepted"] == 2
    assert [(one["index"], one["problem"]["status"]) for one in answer.json()["rejected"]] == [
        (1, 400),
        (2, 400),
    ]
    assert all(named(broker, one) for one in ids)


def test_nan_in_an_array_costs_only_its_own(api: Server) -> None:
    text = (
        f"[{json.dumps(transaction(fresh()))}, "
        f"{json.dumps(transaction(fresh(), amount=float('nan')))}]"
    )
    answer = api.post("/v1/transactions/batch", text)
    assert (answer.status, answer.json()["accepted"]) == (202, 1)
    assert answer.json()["rejected"][0]["problem"]["reason"] == "not_finite"


def test_nothing_good_is_422_and_too_many_is_413(api: Server) -> None:
    assert api.post("/v1/transactions/batch", [{}]).status == 422
    assert api.post("/v1/transactions/batch", []).status == 400
    assert api.post("/v1/transactions/batch", [{}] * 5001).status == 413


def test_verdicts(api: Server, broker: Broker) -> None:
    one = {"transaction_id": fresh(), "verdict": "fraud", "note": "called the customer"}
    many = [{"transaction_id": fresh(), "verdict": "legitimate", "label_id": "mine"}, one]
    answers = [
        api.post("/v1/feedback", one, Idempotency_Key="k1"),
        api.post("/v1/feedback", one, Idempotency_Key="k1"),
        api.post("/v1/feedback", many),
    ]
    assert [(answer.status, answer.json()["accepted"]) for answer in answers] == [
        (202, 1),
        (202, 1),
        (202, 2),
    ]
    assert answers[0].json()["label_ids"] == answers[1].json()["label_ids"]
    assert answers[2].json()["label_ids"][0] == "mine"
    found = [
        value for key, value in records(broker, FEEDBACK) if key == one["transaction_id"].encode()
    ]
    given = {*answers[0].json()["label_ids"], answers[2].json()["label_ids"][1]}
    assert {value["label_id"] for value in found} == given
    assert all(value["given_us"] > 0 for value in found)


def test_bad_verdicts(api: Server) -> None:
    for body, status in (
        ({"transaction_id": "x", "verdict": "maybe"}, 422),
        ({"verdict": "fraud"}, 422),
        ("{", 400),
        ({"transaction_id": "", "verdict": "fraud"}, 422),
        ([], 400),
        ("null", 422),
        ({"transaction_id": "x", "verdict": "fraud", "note": "n" * 2001}, 422),
        (b'"\xff"', 422),
    ):
        answer = api.post("/v1/feedback", body)
        assert (answer.status, answer.headers["content-type"]) == (
            status,
            "application/problem+json",
        ), body
    found = api.post("/v1/feedback", [{"transaction_id": "x", "verdict": "maybe"}]).json()
    assert found["errors"] == [
        {"field": "[0].verdict", "detail": "'maybe' is none of the values that are taken"}
    ]


def test_a_whole_labelled_transaction(api: Server, broker: Broker) -> None:
    body, nameless = transaction(fresh()), transaction(None, transaction_id=..., user_id=fresh())
    given = [
        {"transaction": body, "verdict": "fraud", "source": "bank"},
        {"transaction": nameless, "verdict": "fraud"},
        {"transaction_id": "posted-before", "verdict": "legitimate"},
    ]
    key = fresh()
    answers = [api.post("/v1/feedback", given, Idempotency_Key=key).json() for _ in range(2)]
    assert answers[0] == answers[1], "posting it again is the same transactions and labels"
    ids = answers[0]["transaction_ids"]
    assert (answers[0]["accepted"], ids[0], ids[2]) == (3, body["transaction_id"], "posted-before")
    assert named(broker, ids[0])[0] == (b"u-17", body)
    assert named(broker, ids[1])[0][1] == nameless | {"transaction_id": ids[1]}
    said = {value["transaction_id"]: value for _, value in records(broker, FEEDBACK)}
    assert [said[one]["label_id"] for one in ids] == answers[0]["label_ids"]
    assert (said[ids[0]]["verdict"], said[ids[0]]["source"]) == ("fraud", "bank")
    alone = api.post(
        "/v1/feedback", {"transaction": transaction(None, transaction_id=...), "verdict": "fraud"}
    ).json()
    assert named(broker, alone["transaction_ids"][0])


def test_bad_labelled_transactions_are_refused_whole(api: Server, broker: Broker) -> None:
    good, known = transaction(fresh()), transaction(fresh())
    assert api.post("/v1/transactions", known).status == 202
    for bad, status, where in (
        ({"transaction": transaction(fresh(), amount=-1), "verdict": "fraud"}, 422, "index"),
        ({"transaction": known | {"amount": 9}, "verdict": "fraud"}, 409, "index"),
        ({"transaction": good | {"amount": 9}, "verdict": "fraud"}, 409, "index"),
        ({"transaction": [], "verdict": "fraud"}, 422, "index"),
        ({"transaction": good, "transaction_id": "x", "verdict": "fraud"}, 422, "errors"),
        ({"verdict": "fraud"}, 422, "errors"),
        ({"transaction": good}, 422, "errors"),
    ):
        answer = api.post("/v1/feedback", [{"transaction": good, "verdict": "fraud"}, bad])
        assert answer.status == status, bad
        assert answer.json()[where] if where == "errors" else answer.json()["index"] == 1
    assert not named(broker, good["transaction_id"]), "nothing of a refused request is kept"


def test_the_value_is_canonical(api: Server, broker: Broker, card: Profile) -> None:
    body = transaction(fresh())
    api.post("/v1/transactions", json.dumps(body, indent=3))
    found = named(broker, body["transaction_id"])[0][1]
    canonical = card.canonical(card.decode(json.dumps(body).encode()))
    assert json.dumps(found, separators=(",", ":")).encode() == canonical
