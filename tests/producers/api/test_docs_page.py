"""The documentation in a real browser: nothing comes from elsewhere, and its example is taken."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from db.keys import create
from tests.producers.running_api import serve
from tidegate.clock import now_us
from tidegate.profile import load_profile


def test_the_example_is_posted_with_a_key(page: Page, tmp_path: Path) -> None:
    """Nothing breaks the page's Content-Security-Policy: that would be said on the console."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with serve(load_profile("card"), tmp_path, auth="keys") as api:
        key = create(api.database, "shop", ["ingest"], now_us())[1]
        page.goto(f"{api.url}/docs")
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
        page.goto(f"{api.url}/docs#not_durable")
        expect(page.locator("tr#not_durable")).to_be_in_viewport()
    assert all(address.startswith((api.url, "data:")) for address in asked)
