"""How much a key may send, on both ways into the API, and what it is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from db.keys import create
from tests.access.issuer import token
from tests.access.test_tokens import settings as tokens_taken
from tests.access.web import applications, bearer
from tests.web import transaction
from tidegate.access.rates import Rates
from tidegate.access.scopes import Principal
from tidegate.clock import now_us
from tidegate.settings import Settings


def test_a_bucket_fills_as_fast_as_it_may_be_emptied() -> None:
    now = [0.0]
    rates = Rates(clock=lambda: now[0])
    shop, other = Principal("shop", frozenset(), 10), Principal("other", frozenset(), 10)
    assert [rates.take(shop) for _ in range(11)] == [0] * 10 + [1]
    assert rates.take(other) == 0, "a bucket of its own"
    now[0] += 0.5
    assert [rates.take(shop) for _ in range(6)] == [0] * 5 + [1]
    now[0] += 3600
    assert sum(rates.take(shop) == 0 for _ in range(100)) == 10, "no more than a second's worth"


def test_a_batch_passes_and_is_paid_for_afterwards() -> None:
    now = [0.0]
    rates = Rates(clock=lambda: now[0])
    shop = Principal("shop", frozenset(), 100)
    assert rates.take(shop) == 0
    rates.charge(shop, 4999)
    assert rates.take(shop) == 50
    now[0] += 49.0
    assert rates.take(shop) == 1
    now[0] += 0.02
    assert rates.take(shop) == 0
    rates.charge(Principal("any", frozenset()), 4999)


def test_clients_that_are_gone_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.access.rates.MANY", 100)
    now = [0.0]
    rates = Rates(clock=lambda: now[0])
    owing = Principal("owing", frozenset(), 10)
    rates.charge(owing, 10_000)
    for number in range(1000):
        now[0] += 0.1
        assert rates.take(Principal(f"jwt/{number}", frozenset(), 10)) == 0
        assert len(rates) <= 101
    assert rates.take(owing) > 800, "what is not paid for is not forgotten"


def slow_key(home: Path, *scopes: str) -> dict[str, str]:
    return bearer(create(Settings(home=home).db_url, "slow", scopes, now_us(), rate=5)[1])


def posts(api: Flask, headers: dict[str, str], query: str) -> list[int]:
    client = api.test_client()
    answers = [
        client.post(f"/v1/transactions{query}", json=transaction(f"{query}{n}"), headers=headers)
        for n in range(8)
    ]
    refused = [answer for answer in answers if answer.status_code == 429]
    for answer in refused:
        assert answer.headers["Retry-After"] == "1"
        assert answer.get_json()["type"] == "/docs#too_many_requests"
        assert "slow may send 5" in answer.get_json()["detail"]
    return [answer.status_code for answer in answers]


def test_the_express_path_and_flask_share_the_rate(tmp_path: Path) -> None:
    for query in ("", "?wait_ms=0"):
        home = tmp_path / (query or "express")[:4].strip("?")
        home.mkdir()
        with applications(home, auth="keys") as (api, _):
            statuses = posts(api, slow_key(home, "ingest"), query)
            assert statuses[:5] == [202] * 5
            assert 429 in statuses[5:]


def test_all_tokens_of_a_subject_share_a_rate(tmp_path: Path) -> None:
    with applications(tmp_path, **tokens_taken(tmp_path), jwt_rate=5) as (api, _):
        client = api.test_client()

        def post(number: int, subject: str) -> TestResponse:
            shown = bearer(token(sub=subject, jti=str(number)))
            sent = transaction(f"{subject}-{number}")
            return client.post("/v1/transactions", json=sent, headers=shown)

        answers = [post(number, "shop") for number in range(8)]
        assert [answer.status_code for answer in answers[:5]] == [202] * 5
        assert answers[-1].status_code == 429
        assert answers[-1].headers["Retry-After"] == "1"
        assert "jwt/shop may send 5" in answers[-1].get_json()["detail"]
        assert post(0, "till").status_code == 202, "another subject has its own"


def test_a_batch_counts_as_what_it_holds(tmp_path: Path) -> None:
    with applications(tmp_path, auth="keys") as (api, _):
        slow, client = slow_key(tmp_path, "ingest", "review"), api.test_client()
        many = [transaction(f"b-{n}") for n in range(500)]
        assert client.post("/v1/transactions/batch", json=many, headers=slow).status_code == 202
        refused = client.post("/v1/feedback", json={}, headers=slow)
        assert refused.status_code == 429
        assert 90 <= int(refused.headers["Retry-After"]) <= 100
