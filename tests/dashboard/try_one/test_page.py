"""The page that scores one transaction, in a real browser and by hand-made requests."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from db.migrate import migrate
from tests.axe import violations
from tests.dashboard.champion import crowned
from tests.dashboard.conftest import Site
from tests.dashboard.visitor import Visitor
from tests.web import Server, serving

__all__ = ["crowned"]


def filled(server: Server, **changes: str) -> tuple[int, str]:
    """What the page answers to a form."""
    fields = {
        "user_id": "u-17",
        "amount": "12.5",
        "merchant": "Corner Shop",
        "timestamp": "2026-01-01T12:00:00Z",
        "merchant_type": "grocery",
        "device_type": "pos",
        "location_match": "true",
    } | changes
    answer = Visitor(server).post("/try", fields)
    return answer.status, answer.body.decode()


def test_a_transaction_is_tried(page: Page, crowned: Site) -> None:
    account, shop = (f"{name}-{uuid.uuid4().hex[:8]}" for name in ("u", "shop"))
    page.goto(f"{crowned.url}/try")
    page.get_by_label("user_id").fill(account)
    page.get_by_label("merchant", exact=True).fill(shop)
    page.get_by_label("amount", exact=True).fill("950000")
    page.get_by_label("location_match").select_option("no")
    page.get_by_role("button", name="Score it").click()
    expect(page.locator("#result .badge")).to_be_visible(timeout=60_000)
    high = float(page.locator("#score").inner_text())
    expect(page.locator("#reasons")).to_contain_text("location")
    expect(page.get_by_text("by user_id hold the newest 0 transactions")).to_be_visible()
    assert violations(page) == []
    page.get_by_label("amount", exact=True).fill("9.5")
    page.get_by_label("location_match").select_option("yes")
    page.get_by_role("button", name="Score it").click()
    expect(page.locator("#score")).not_to_have_text(f"{high:.4f}")
    assert float(page.locator("#score").inner_text()) < high
    expect(page.get_by_label("user_id")).to_have_value(account)
    assert crowned.server.get(f"/transactions/{account}").status == 404
    assert crowned.server.get("/rows").json()["rows"] == [
        row for row in crowned.server.get("/rows").json()["rows"] if row["account"] != account
    ], "nothing was stored"


def test_its_account_is_known(crowned: Site) -> None:
    crowned.arrive(f"t-{uuid.uuid4().hex}", "approve", live=False)
    status, text = filled(crowned.server, timestamp="2099-01-01T00:00:00Z")
    assert status == 422
    assert "in the future" in text
    status, text = filled(crowned.server)
    assert status == 200
    assert "hold the newest 0" not in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"amount": "abc"}, "expected"),
        ({"amount": "-1"}, "expected"),
        ({"amount": "1e400"}, "expected"),
        ({"amount": "9" * 5000}, "expected"),
        ({"user_id": ""}, "required"),
        ({"user_id": "u\0x"}, "NUL"),
        ({"user_id": "x" * 10_000}, "expected"),
        ({"location_match": "perhaps"}, "expected"),
        ({"timestamp": "yesterday"}, "expected"),
    ],
)
def test_what_is_wrong_is_said(crowned: Site, changes: dict[str, str], words: str) -> None:
    status, text = filled(crowned.server, **changes)
    assert status == 422
    assert words in text


def test_strange_queries(crowned: Site) -> None:
    long = "x" * 3_000
    for query in (f"like={long}", "like=a%00b", "like=%ed%a0%80", "example=-1", f"example={long}"):
        assert crowned.server.get(f"/try?{query}").status == 200, query


@pytest.mark.parametrize("profile", ["vector", "handbook"])
def test_other_profiles_without_a_champion(
    page: Page, site: Site, tmp_path: Path, profile: str
) -> None:
    migrate(f"sqlite:///{tmp_path / 'tidegate.db'}")
    with serving("dashboard", site.server.env["TIDEGATE_KAFKA"], tmp_path, profile) as server:
        page.goto(f"http://127.0.0.1:{server.port}/try")
        expect(page.get_by_text("No model has been promoted yet")).to_be_visible()
        expect(page.get_by_role("button", name="Score it")).to_be_disabled()
        assert violations(page) == []
        page.goto("about:blank")
