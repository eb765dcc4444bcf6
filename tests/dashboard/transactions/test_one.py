"""One transaction, understood: why, what is around it, who said what, and the same again."""

from __future__ import annotations

import uuid

import pytest
from playwright.sync_api import Page, expect

from tests.axe import violations
from tests.dashboard.conftest import REASONS, Site
from tests.dashboard.transactions.test_search_page import give_verdict
from tests.web import persist, scored, transaction

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def case(site: Site) -> str:
    """A blocked one of an account and a merchant that have others, one of these a known fraud."""
    end = uuid.uuid4().hex[:8]
    account, merchant = f"u-{end}", f"Shop {end}"
    frames = [
        scored(
            site.profile,
            transaction(
                f"{end}-{number}",
                user_id=account if number % 2 else f"u-other-{end}",
                merchant=merchant,
                amount=10 + number * 7,
                timestamp=f"2026-01-{number + 1:02d}T18:30:00Z",
            ),
            "block" if number == 6 else "approve",
            0.97 if number == 6 else 0.05,
            REASONS if number == 6 else [],
        )
        for number in range(9)
    ]
    persist(site.database, site.broker, site.profile, frames)
    give_verdict(site, f"{end}-1", fraud=True)
    give_verdict(site, f"{end}-6", fraud=False)
    return f"{end}-6"


def test_it_says_why_and_what_is_around(page: Page, site: Site, case: str) -> None:
    page.goto(f"{site.url}/transactions/{case}")
    reasons = page.locator("#reasons")
    expect(reasons).to_contain_text("user_amount_zscore")
    expect(reasons).to_contain_text("+2.310")
    expect(reasons).to_contain_text("bundle 00aa11bb22cc33dd is not here")
    expect(page.locator("#history")).to_contain_text("Legitimate ann")
    expect(page.locator("#history")).to_contain_text("holds")
    expect(page.locator("#account .timeline g")).to_have_count(5)
    around = page.locator("#around")
    expect(around.locator(".timeline g")).to_have_count(7)
    expect(around.locator("#similar a").first).to_be_visible()
    expect(page.locator("#origin")).to_contain_text("transactions.by-entity-2")
    assert violations(page) == []
    page.get_by_role("link", name="All of this user_id").click()
    expect(page.locator("#found tbody tr")).to_have_count(5)


def test_what_cannot_be_replayed_says_why(page: Page, site: Site, case: str) -> None:
    page.goto(f"{site.url}/transactions/{case}")
    page.get_by_role("button", name="Replay this decision").click()
    answer = page.locator("#replayed")
    expect(answer).to_contain_text("It cannot be replayed", timeout=90_000)
    assert "Traceback" not in answer.inner_text()


def test_nobody_knows_it(site: Site) -> None:
    for part in ("", "/reasons", "/around"):
        assert site.server.get(f"/transactions/nobody{part}").status == 404
