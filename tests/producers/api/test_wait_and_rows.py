"""The decision in the answer, and rows by id and by page."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from db.keys import create, revoke
from db.migrate import migrate
from tests.producers.api.test_post import fresh
from tests.support import eventually
from tests.web import Server, heartbeats, persist, produce, scored, serving, transaction
from tidegate.broker.kafka import KafkaBroker
from tidegate.clock import now_us
from tidegate.pipeline import SCORED, stage_inputs
from tidegate.profile import Profile

REASONS = [{"feature": "amount", "value": 900.0, "contribution": 1.5, "text": "amount = 900"}]


def test_the_decision_comes_in_time(api: Server, broker: KafkaBroker, card: Profile) -> None:
    body = transaction(fresh())
    frame = scored(card, body, "block", 0.97, REASONS)
    timer = threading.Timer(0.3, lambda: produce(broker, SCORED, b"noise", frame))
    timer.start()
    answer = api.post("/v1/transactions?wait_ms=8000", body)
    timer.join()
    assert answer.status == 200
    assert answer.json() == {
        "transaction_id": body["transaction_id"],
        "status": "scored",
        "decision": "block",
        "score": 0.97,
        "scores": dict.fromkeys(card.models.names, 0.97),
        "degraded": [],
        "reasons": REASONS,
        "bundle": "00aa11bb22cc33dd",
    }
    other = api.post("/v1/transactions", body | {"amount": 1})
    assert other.status == 409


def test_nobody_is_told_the_decision_on_another_body(
    api: Server, broker: KafkaBroker, card: Profile, database: str
) -> None:
    """Whoever names an id would read what was decided of it, with reasons."""
    kept, under_way = transaction(fresh()), transaction(fresh())
    persist(database, broker, card, [scored(card, kept, "block", 0.97, REASONS)])
    answer = api.post("/v1/transactions?wait_ms=300", kept | {"amount": 77})
    assert (answer.status, answer.json()["status"]) == (202, "accepted")
    frame = scored(card, under_way, "block", 0.97, REASONS)
    timer = threading.Timer(0.3, lambda: produce(broker, SCORED, frame))
    timer.start()
    answer = api.post("/v1/transactions?wait_ms=8000", under_way | {"amount": 77})
    timer.join()
    assert (answer.status, answer.json()["status"]) == (202, "accepted")


def test_the_decision_does_not_come(api: Server) -> None:
    start = time.monotonic()
    answer = api.post("/v1/transactions?wait_ms=300", transaction(fresh()))
    assert answer.status == 202
    assert answer.headers["location"].startswith("/v1/transactions/t-")
    assert 0.3 <= time.monotonic() - start < 5


def test_more_waiters_than_places_are_answered_at_once(api: Server) -> None:
    with ThreadPoolExecutor(70) as pool:
        start = time.monotonic()
        waits = [
            pool.submit(
                lambda: api.post("/v1/transactions?wait_ms=4000", transaction(fresh())).status
            )
            for _ in range(70)
        ]
        posts = [api.post("/v1/transactions", transaction(fresh())).status for _ in range(5)]
        taken = time.monotonic() - start
        assert {wait.result() for wait in waits} == {202}
    assert posts == [202] * 5
    assert taken < 4, "those who do not wait are not held up by those who do"


def test_what_another_worker_scored_is_known(
    api: Server, broker: KafkaBroker, card: Profile
) -> None:
    body = transaction(fresh())
    produce(broker, SCORED, scored(card, body))

    def refused() -> bool:
        return (
            api.post("/v1/transactions", transaction(body["transaction_id"], amount=77)).status
            == 409
        )

    eventually(refused)


def test_rows(api: Server, broker: KafkaBroker, card: Profile, database: str) -> None:
    run = fresh()  # rows of one batch are numbered in the order of their ids
    bodies = [transaction(f"{run}-{i}", user_id="rows", amount=1 + i) for i in range(7)]
    frames = [
        scored(
            card,
            body,
            "block" if i % 3 == 0 else "approve",
            0.9 if i % 3 == 0 else 0.1,
            REASONS if i % 3 == 0 else (),
        )
        for i, body in enumerate(bodies)
    ]
    persist(database, broker, card, frames)
    found = api.get(f"/v1/transactions/{bodies[0]['transaction_id']}").json()
    assert found["payload"] == bodies[0]
    assert (found["decision"], found["reasons"], found["status"]) == ("block", REASONS, "scored")
    assert set(found["features"]) == set(card.values)
    assert set(found["scores"]) == set(card.models.names)
    assert _pages(api, "account=rows&limit=3") == [
        body["transaction_id"] for body in reversed(bodies)
    ]
    assert _pages(api, "account=rows&decision=block") == [
        bodies[i]["transaction_id"] for i in (6, 3, 0)
    ]
    assert _pages(api, "account=rows&min_score=0.5&limit=1") == [
        bodies[i]["transaction_id"] for i in (6, 3, 0)
    ]
    assert _pages(api, "account=rows&since_us=0&until_us=5") == []
    for wait in (
        "1",
        "9000",
    ):  # after the time, when this worker did not know it; at once, when it does
        again = api.post(f"/v1/transactions?wait_ms={wait}", bodies[0])
        assert (again.status, again.json()["decision"], again.json()["reasons"]) == (
            200,
            "block",
            REASONS,
        )


def _pages(api: Server, query: str) -> list[str]:
    found: list[str] = []
    cursor = ""
    while True:
        page: dict[str, Any] = api.get(f"/v1/transactions?{query}{cursor}").json()
        found += [row["transaction_id"] for row in page["transactions"]]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


def test_accepted_without_a_row_yet(api: Server) -> None:
    body = transaction(fresh())
    location = api.post("/v1/transactions", body).headers["location"]
    answer = api.get(location)
    assert (answer.status, answer.json()["status"]) == (202, "accepted")


def test_readiness(api: Server, broker: KafkaBroker) -> None:
    ids = broker.topic_ids(list(stage_inputs(2).values()))
    partitions = {stage: ids[topic][1] for stage, topic in stage_inputs(2).items()}
    heartbeats(broker, partitions)
    eventually(lambda: api.get("/readyz").status == 200)
    heartbeats(broker, {"score": 1})
    lacking = "score: partitions 1, 2 not assigned and restored"
    eventually(lambda: lacking in api.get("/readyz").json().get("missing", []))
    heartbeats(broker, partitions, stopping=True)
    eventually(lambda: len(api.get("/readyz").json().get("missing", [])) == len(partitions))


def test_documentation_needs_no_network(api: Server) -> None:
    page = api.get("/docs")
    assert page.status == 200
    assert b"http" not in page.body.replace(b"http-equiv", b"")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    spec = api.get("/openapi.json").json()
    assert spec["openapi"].startswith("3.1")
    assert {"CardTransaction", "Verdict", "Problem"} <= set(spec["components"]["schemas"])
    for ref in _refs(spec):
        assert ref.removeprefix("#/components/schemas/") in spec["components"]["schemas"]


def _refs(part: object) -> list[str]:
    if isinstance(part, dict):
        return (
            [part["$ref"]]
            if "$ref" in part
            else [ref for value in part.values() for ref in _refs(value)]
        )
    return [ref for value in part for ref in _refs(value)] if isinstance(part, list) else []


@pytest.mark.parametrize(
    "name", ["tidegate_http_requests_total", "tidegate_transactions_acknowledged_total"]
)
def test_metrics(api: Server, name: str) -> None:
    api.post("/v1/transactions", transaction(fresh()))
    assert f"\n{name}" in api.get("/metrics").body.decode()


def test_home_is_the_dashboard(api: Server) -> None:
    answer = api.get("/")
    assert (answer.status, answer.headers["location"]) == (
        302,
        f"http://127.0.0.1:{api.env['TIDEGATE_DASHBOARD_PORT']}/",
    )


def test_a_real_server_asks_for_the_key(
    kafka: str, broker: KafkaBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On both ways in, and for as long as it holds; what is refused is read to its end."""
    assert broker.admin.existing()
    monkeypatch.setenv("TIDEGATE_AUTH", "keys")
    url = f"sqlite:///{tmp_path / 'tidegate.db'}"
    migrate(url)
    key = create(url, "shop", ["ingest"], now_us())[1]
    own = {"Authorization": f"Bearer {key}"}
    with serving("producers.api", kafka, tmp_path) as server:
        for path in ("/v1/transactions", "/v1/transactions?wait_ms=0"):
            assert server.post(path, transaction(fresh()), **own).status == 202
            refused = server.post(path, transaction(fresh(), merchant="m" * 500_000))
            assert (refused.status, refused.headers["www-authenticate"][:6]) == (401, "Bearer")
        revoke(url, "shop", now_us())
        eventually(
            lambda: server.post("/v1/transactions", transaction(fresh()), **own).status == 401
        )
