"""The page of the models: champion, online model, drift."""

from __future__ import annotations

import time

from playwright.sync_api import Page, expect

from tests.dashboard.conftest import Site
from tests.web import heartbeats, produce
from tidegate.messages.documents import Champion, Drift, Moved, OnlineWeights, encode
from tidegate.pipeline import MODELS

BUNDLE = "00aa11bb22cc33dd"


def test_the_models_page(page: Page, site: Site) -> None:
    profile, now = site.profile.hash.decode(), time.time_ns() // 1000
    page.goto(f"{site.url}/models")
    expect(page.locator("#champion-text")).to_have_text("No champion yet")
    expect(page.locator("#drift-text")).to_have_text("Too few rows of this model yet")
    produce(
        site.broker,
        MODELS,
        encode(Champion(BUNDLE, profile, now)),
        encode(Champion("elsewhere", "other", now)),
        encode(OnlineWeights(BUNDLE, 1234, b"", 1200, now, frozen=True)),
        b"noise",
    )
    moved = [
        Moved("amount", "input", 0.421, 0.2),
        Moved("hour_sin", "derived", 0.15, 0.1),
        Moved("score", "score", 0.01, 0.0),
    ]
    heartbeats(site.broker, {"score": 1})
    heartbeats(site.broker, {"persist": 1}, drift=Drift(BUNDLE, 4321, moved))
    expect(page.locator("#champion-text")).to_have_text(f"{BUNDLE}, used by 1 of 1 scorers")
    expect(page.locator("#drift-text")).to_contain_text("4,321 newest rows")
    assert page.locator("#drift tr").evaluate_all(
        "all => all.map(one => one.innerText.split('\\t').join(' '))"
    ) == ["amount input 0.421 0.200", "hour_sin derived 0.150 0.100", "score score 0.010 0.000"]
    assert page.locator("#drift .meter").evaluate_all(
        "all => all.map(one => one.classList[1])"
    ) == ["block", "review", "approve"]
    expect(page.locator("#online")).to_contain_text("1,200 labels")
    expect(page.locator("#online")).to_contain_text("frozen: worse than the trained one")
    expect(page.get_by_text("No bundle yet")).to_be_visible()
