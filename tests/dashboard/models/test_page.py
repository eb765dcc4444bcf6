"""The page of the models: champion, online model, drift."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from db.migrate import migrate
from tests.axe import violations
from tests.dashboard.champion import crowned
from tests.dashboard.conftest import Site
from tests.dashboard.visitor import Visitor
from tests.web import heartbeats, persist, produce, scored, serving, transaction
from tidegate.messages.documents import Champion, OnlineWeights, encode
from tidegate.messages.heartbeats import Drift, Moved
from tidegate.pipeline import MODELS

__all__ = ["crowned"]
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


def test_without_any_model(page: Page, site: Site, tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path / 'tidegate.db'}")
    kafka = site.server.env["TIDEGATE_KAFKA"]
    with serving("dashboard", kafka, tmp_path, "handbook") as server:
        page.goto(f"http://127.0.0.1:{server.port}/models")
        expect(page.locator("#champion-text")).to_have_text("No champion yet")
        expect(page.locator("#drift-text")).to_have_text("Too few rows of this model yet")
        expect(page.get_by_text("No bundle yet")).to_be_visible()
        expect(page.get_by_text("Nothing was decided in the last 30 days")).to_be_visible()
        expect(page.get_by_text("There are too few rows for this yet")).to_be_visible()
        assert violations(page) == []
        page.goto("about:blank")


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("promote", {"bundle": "0000"}, 409),
        ("promote", {"bundle": "../../etc"}, 409),
        ("promote", {"bundle": 10_000 * "x"}, 409),
        ("promote", {"bundle": "a\0b"}, 409),
        ("promote", {}, 400),
        ("shadow", {"bundle": "nothing"}, 409),
        ("canary", {"bundle": "nothing", "percent": "many"}, 400),
        ("canary", {"bundle": "nothing", "percent": "nan"}, 400),
        ("canary", {"bundle": "nothing", "percent": "90"}, 400),
        ("train", {"what": "delete"}, 400),
    ],
)
def test_orders_that_cannot_be(
    crowned: Site, path: str, fields: dict[str, str], status: int
) -> None:
    assert Visitor(crowned.server).post(f"/models/{path}", fields).status == status
    assert crowned.server.get("/models?challenger=" + "x" * 3000).status == 200


def test_curves_are_shown(page: Page, crowned: Site) -> None:
    page.goto(f"{crowned.url}/models")
    expect(page.get_by_role("heading", name="Calibration")).to_be_visible()
    expect(page.locator("polyline.champion")).to_have_count(3)
    expect(page.get_by_text("spread over the time")).to_have_count(0)
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert violations(page) == []
