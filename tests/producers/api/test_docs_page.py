"""The documentation in a real browser: it loads nothing from elsewhere, and its example is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from db.keys import create
from db.migrate import migrate
from tests.web import serving
from tidegate.broker.kafka import KafkaBroker
from tidegate.clock import now_us


def test_the_example_is_posted_with_a_key(
    kafka: str,
    pipeline_topics: KafkaBroker,
    page: Page,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing breaks the page's Content-Security-Policy: that would be said on the console."""
    assert pipeline_topics.admin.existing()
    monkeypatch.setenv("TIDEGATE_AUTH", "keys")
    url = f"sqlite:///{tmp_path / 'tidegate.db'}"
    migrate(url)
    key = create(url, "shop", ["ingest"], now_us())[1]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with serving("producers.api", kafka, tmp_path) as server:
        here = f"http://127.0.0.1:{server.port}"
        page.goto(f"{here}/docs")
        page.get_by_role("button", name="Authorize", exact=True).first.click()
        page.get_by_label("auth-bearer-value").fill(key)
        page.get_by_role("button", name="Apply credentials").click()
        page.get_by_role("button", name="Close", exact=True).click()
        operation = page.locator(".opblock-post", has_text="Post one transaction")
        operation.locator(".opblock-summary-control").first.click()
        with page.expect_response("**/v1/transactions") as answered:
            operation.get_by_role("button", name="Execute").click()
        assert answered.value.status == 202
        assert answered.value.json()["transaction_id"] == "example-1"
        expect(operation.locator(".live-responses-table")).to_contain_text("accepted")
        page.goto(f"{here}/docs#not_durable")
        expect(page.locator("tr#not_durable")).to_be_in_viewport()
        page.screenshot(path="/tmp/int-docs.png")
    assert all(address.startswith((here, "data:")) for address in asked)
