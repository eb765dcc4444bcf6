"""Whose name stands at verdicts and promotions: the key's; what the body says only without one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from flask import Flask

from tests.access.test_sign_in import token
from tests.access.web import applications, bearer, key
from tests.support import eventually
from tidegate.broker.ports import Broker
from tidegate.messages.documents import Verdict
from tidegate.pipeline import FEEDBACK, MODELS

VERDICT = {"transaction_id": "t-1", "verdict": "fraud", "source": "bank"}


def sources(app: Flask) -> list[str]:
    """Of the verdicts on the topic, in the order in which they came."""
    values = _values(app.extensions["tidegate"].broker, FEEDBACK)
    return [msgspec.json.decode(value, type=Verdict).source for value in values]


def _values(broker: Broker, topic: str) -> list[bytes]:
    consumer = broker.consumer(None)
    try:
        bounds = {at: consumer.bounds(at) for at in consumer.partitions(topic)}
        consumer.assign({at: first for at, (first, _) in bounds.items()})
        left = sum(last - first for first, last in bounds.values())
        found: list[bytes] = []

        def all_read() -> bool:
            for batch in consumer.poll(1000, 0.1):
                found.extend(value or b"" for value in batch.values)
            return len(found) >= left

        eventually(all_read)
        return found
    finally:
        consumer.close()


def test_a_verdicts_source_is_the_key(tmp_path: Path) -> None:
    with applications(tmp_path) as (api, pages):
        own = bearer(key(tmp_path, "chargebacks", "review"))
        client = api.test_client()
        assert client.post("/v1/feedback", json=VERDICT, headers=own).status_code == 202
        assert client.post("/v1/feedback", json=VERDICT).status_code == 202
        assert sources(api) == ["chargebacks", "bank"]
        form = {"verdict": "fraud"}
        pages.test_client().post("/transactions/t-1/verdict", data=form, headers=own)
        browser = pages.test_client()
        form["csrf_token"] = token(browser, "http://localhost")
        assert browser.post("/transactions/t-1/verdict", data=form).status_code == 303
        assert sources(api) == ["chargebacks", "bank", "chargebacks", "dashboard"]


@pytest.mark.parametrize("what", ["shadow", "canary"])
def test_an_order_is_signed_by_the_key(tmp_path: Path, what: str) -> None:
    with applications(tmp_path) as (api, _):
        own = bearer(key(tmp_path, "ops", "models"))
        client = api.test_client()
        for headers in ({}, own):
            answer = client.delete(f"/v1/models/{what}", json={"by": "ann"}, headers=headers)
            assert answer.status_code == 202
        broker = api.extensions["tidegate"].broker
        orders = [msgspec.json.decode(value) for value in _values(broker, MODELS)]
        assert [order["by"] for order in orders] == ["ann", "ops"]
