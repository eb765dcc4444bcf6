"""The page of the models: champion, online model, drift."""

from __future__ import annotations

import time
from pathlib import Path

from playwright.sync_api import Page, expect

from db.migrate import migrate
from tests.dashboard.conftest import Site
from tests.web import heartbeats, persist, produce, scored, serving, transaction
from tidegate.messages.documents import Champion, Drift, Moved, OnlineWeights, encode
from tidegate.pipeline import MODELS

BUNDLE = "00aa11bb22cc33dd"


def levels(page: Page) -> list[str]:
    """How each column's meter is coloured."""
    return page.locator("#drift .meter").evaluate_all("all => all.map(svg => svg.classList[1])")


def rows(site: Site, hours: int) -> list[bytes]:
    """Scored transactions, so many hours after now."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600 * hours))
    bodies = [transaction(f"{hours}-{number}", timestamp=moment) for number in range(25)]
    return [scored(site.profile, body) for body in bodies]


MOVED = [
    Moved("amount", "input", 7.4, 0.2),
    Moved("user_count_1h", "derived", 6.1, 0.9),
    Moved("user_mean_7d", "derived", 5.2, 0.9),
    Moved("merchant_fraud_rate_30d", "derived", 4.3, 0.8),
    Moved("score", "score", 2.0, 0.5),
]


def test_a_window_that_is_still_filling_is_not_red(page: Page, site: Site, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'tidegate.db'}"
    migrate(database)
    kafka = site.server.env["TIDEGATE_KAFKA"]
    with serving("dashboard", kafka, tmp_path) as server:
        page.goto(f"http://127.0.0.1:{server.port}/models")
        for hours, red in ((0, 1), (3, 2), (200, 3), (1000, 5)):
            persist(database, site.broker, site.profile, rows(site, hours))
            heartbeats(site.broker, {"persist": 1}, drift=Drift(BUNDLE, 5000 + hours, MOVED))
            expect(page.locator("#drift-text")).to_contain_text(f"{5000 + hours:,} newest rows")
            assert levels(page) == ["block"] * red + ["filling"] * (5 - red), f"after {hours} h"
            text = page.locator("#drift-text").inner_text()
            assert ("Windows are still filling" in text) == (red < 5)
        page.goto("about:blank")


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
    expect(page.locator("#champion-text")).to_have_text(f"{BUNDLE}, used by 1 of 1 scorer")
    expect(page.locator("#drift-text")).to_contain_text("4,321 newest rows")
    assert page.locator("#drift tr").evaluate_all(
        "all => all.map(one => one.innerText.split('\\t').join(' '))"
    ) == [
        "amount input 0.421 0.200",
        "hour_sin derived 0.150 0.100",
        "score score 0.010, full in 37 days 0.000",
    ]
    assert levels(page) == ["block", "review", "filling"], "the score follows windows"
    expect(page.locator("#drift-text")).to_contain_text("Windows are still filling")
    expect(page.locator("#online")).to_contain_text("1,200 labels")
    expect(page.locator("#online")).to_contain_text("frozen: worse than the trained one")
    expect(page.get_by_text("No bundle yet")).to_be_visible()
