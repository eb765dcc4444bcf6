"""A card number planted wherever a client can write appears in no log, metric or problem."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.access.web import applications
from tests.web import transaction

NUMBER = "4111111111111111"
FIELDS = (
    "transaction_id",
    "user_id",
    "amount",
    "merchant",
    "timestamp",
    "merchant_type",
    "device_type",
    "location_match",
)


def bodies() -> list[bytes]:
    """Transactions that hold the number: taken ones, and ones that are refused for many reasons."""
    whole: list[dict[str, object]] = [transaction("t", **{field: NUMBER}) for field in FIELDS]
    whole += [transaction("t", **{field: [NUMBER]}) for field in FIELDS]
    whole += [transaction("t", **{field: int(NUMBER)}) for field in FIELDS]
    whole += [transaction("t", **{field: NUMBER * 20}) for field in FIELDS]
    whole += [transaction("t", user_id=NUMBER, amount=-1), transaction(NUMBER, amount="x")]
    texts = [json.dumps(one).encode() for one in whole]
    return [*texts, texts[0][:-5], NUMBER.encode(), f'"{NUMBER}"'.encode(), b"\xff" + texts[0]]


def told(client: FlaskClient) -> list[str]:
    """All that the API answers about refusals."""
    answers = [
        client.post("/v1/transactions", data=one, content_type="application/json")
        for one in bodies()
    ]
    answers += [
        client.post("/v1/transactions?wait_ms=1", data=one, content_type="application/json")
        for one in bodies()
    ]
    listed = b"[" + b",".join(bodies()[:30]) + b"]"
    answers += [client.post("/v1/transactions/batch", data=listed, content_type="application/json")]
    answers += [client.post("/v1/feedback", json={"transaction_id": NUMBER, "verdict": "x"})]
    answers += [client.get(f"/v1/transactions?cursor={NUMBER}&limit={NUMBER}")]
    answers += [client.get("/v1/models", headers={"Authorization": f"Bearer {NUMBER}"})]
    return [answer.get_data(as_text=True) for answer in answers if answer.status_code >= 400]


def test_a_planted_number_is_told_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with applications(tmp_path) as (api, _):
        client = api.test_client()
        refused = told(client)
        metrics = client.get("/metrics").get_data(as_text=True)
    assert len(refused) > 30
    assert [text for text in refused if NUMBER in text] == []
    assert "tidegate_" in metrics
    assert NUMBER not in metrics
    assert NUMBER not in caplog.text
