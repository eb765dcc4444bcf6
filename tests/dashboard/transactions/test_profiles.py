"""Search, page and export of shipped profiles: without an account, without money, with both."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.threshold.figures import _units
from tests.access.web import applications
from tests.profile.test_currency_fields import load
from tests.web import persist, scored
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.clock import now_us
from tidegate.pipeline import DLQ, SCORED
from tidegate.profile import load_profile
from tidegate.profile.sample import sample
from tidegate.settings import Settings

PROFILES = ("card", "card_unsupervised", "creditcard", "handbook", "sequences", "vector", "wallet")
REASONS = [
    {"feature": "x", "value": None, "contribution": 1.5, "text": ""},
    {"feature": "", "value": None, "contribution": 0.0, "text": "by night", "rule": "night"},
]


@pytest.mark.parametrize("name", PROFILES)
def test_all_of_it_is_there(name: str, tmp_path: Path) -> None:
    profile = load_profile(name)
    first, second = ("a/b", "t-2") if profile.fields[profile.id_field].is_text else ("1", "2")
    with applications(tmp_path, profile=name) as (_, pages):
        url = Settings(home=tmp_path).db_url
        body = sample(profile, now_us())
        frames = [
            scored(profile, body | {profile.id_field: identity}, decision, 0.7, reasons)
            for identity, decision, reasons in ((first, "block", REASONS), (second, "approve", []))
        ]
        persist(url, MemoryBroker({SCORED: 1, DLQ: 1}), profile, frames)
        client = pages.test_client()
        found = client.get("/transactions")
        assert found.status_code == 200
        assert found.text.count("<tr data-id=") == 2
        assert (profile.money_field is not None) == ('name="min_amount"' in found.text)
        assert (profile.account is not None) == ('name="account"' in found.text)
        assert (len(profile.entities) > 1) == ('name="second"' in found.text)
        for part in ("", "/reasons", "/around"):
            assert client.get(f"/transactions/{first}{part}").status_code == 200
        if profile.account is None:
            assert client.get("/transactions?account=x").status_code == 400
        if profile.money_field is None:
            assert client.get("/transactions?min_amount=1").status_code == 400
        token = found.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        export = client.post(
            "/transactions/export", data={"decision": "block", "csrf_token": token}
        )
        assert export.status_code == 200
        [row] = pd.read_csv(io.BytesIO(export.data), dtype=str).to_dict("records")
        assert row["transaction_id"] == first


def test_amounts_of_several_currencies_are_not_compared(tmp_path: Path) -> None:
    mixed = load(tmp_path)
    with applications(tmp_path, profile=str(mixed.path)) as (_, pages):
        client = pages.test_client()
        answer = client.get("/transactions?min_amount=5")
        assert answer.status_code == 400
        assert "several currencies" in answer.text
        for path in ("/transactions", "/review", "/review/list"):
            answer = client.get(path)
            assert answer.status_code == 200
            assert 'name="min_amount"' not in answer.text, path
    assert not _units(mixed, np.array([1200])).any()
