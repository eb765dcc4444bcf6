"""Every page on PostgreSQL, opened, filled and used in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.axe import violations
from tests.dashboard.alerts.test_page import Running
from tests.dashboard.champion import crown
from tests.dashboard.conftest import REASONS, Site
from tests.dashboard.dead_letters.letters import Bad, die
from tests.dashboard.dead_letters.test_pages import fault
from tests.dashboard.transactions.test_search_page import give_verdict
from tests.notify.receivers import alert, receiver
from tests.trained import Trained
from tests.web import persist, scored, transaction
from tidegate.clock import now_us
from tidegate.notify.events import Event

OFFSET = 7_000_000_000
AMOUNT = 912_345
DECISIONS = ("approve", "review", "block")


class Filled(NamedTuple):
    """A site in which there is something on every page; `names` are transactions', by decision."""

    site: Site
    names: dict[str, str]
    word: str
    """The detail of a dead letter."""


@pytest.fixture(scope="module")
def filled(
    site_on_postgres: Site, trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Filled]:
    site, word = site_on_postgres, fault()
    names = {decision: f"pg/{word} {decision}" for decision in DECISIONS}
    frames = [
        scored(
            site.profile,
            transaction(name, amount=AMOUNT),
            decision,
            {"approve": 0.03, "review": 0.61, "block": 0.97}[decision],
            REASONS if decision != "approve" else [],
        )
        for decision, name in names.items()
    ]
    frames += [scored(site.profile, transaction(f"{word}-{number}")) for number in range(60)]
    persist(site.database, site.broker, site.profile, frames)
    give_verdict(site, names["block"], fraud=True)
    die(site.broker, site.profile, OFFSET, [Bad(b'{"amount": "x"}', word)])
    crown(site, trained.bundle.path)
    with receiver() as server:
        running = Running(site, tmp_path_factory.mktemp("notify"), server)
        running.tell(alert(1), Event("d", "drift", "The rows have moved", "amount", now_us()))
        yield Filled(site, names, word)
        running.close()


@pytest.fixture
def watched(page: Page) -> Iterator[Page]:
    """A browser in which no answer may be a fault of the server's."""
    failed: list[str] = []
    page.on(
        "response",
        lambda got: failed.append(f"{got.status} {got.url}") if got.status >= 500 else None,
    )
    yield page
    assert failed == []


def settled(page: Page) -> None:
    """What the page asks for once it is there has come."""
    expect(page.locator("[hx-trigger='load'].htmx-request")).to_have_count(0, timeout=30_000)


def look(page: Page, address: str) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(address)
        settled(page)
        assert violations(page) == [], (address, scheme)


def test_every_page_is_whole(watched: Page, filled: Filled) -> None:
    site = filled.site
    watched.goto(site.url)
    links = watched.locator("header nav a").all()
    paths = [str(link.get_attribute("href")) for link in links]
    assert len(paths) == 11
    name = quote(filled.names["block"], safe="")
    for path in (
        *paths,
        f"/transactions/{name}",
        "/transactions?decision=block&min_amount=1000&verdict=fraud&reason=user_amount_zscore",
        "/review/list",
        "/review/figures",
        "/rules?tab=lists",
        "/rules?tab=suppressions",
        "/rules?tab=history",
        "/rules/rule",
        "/threshold?review=0.2&block=0.8",
        "/dead-letters?state=all",
        "/alerts?channel=chat&state=sent",
    ):
        look(watched, f"{site.url}{path}")
    watched.goto("about:blank")


def test_cases_are_worked_on(watched: Page, filled: Filled) -> None:
    page, site = watched, filled.site
    page.goto(f"{site.url}/review?min_amount={AMOUNT}")
    expect(page.locator("#case-title")).to_have_text(filled.names["review"])
    page.locator("#note").fill("seen on PostgreSQL")
    page.get_by_role("button", name="Keep the note").click()
    expect(page.locator(".note")).to_contain_text("seen on PostgreSQL")
    page.get_by_label("New tag").fill("odd")
    page.get_by_role("button", name="Tag", exact=True).click()
    expect(page.get_by_role("button", name="Take tag odd off")).to_be_visible()
    page.locator("#case-title").focus()
    page.keyboard.press("f")
    expect(page.locator("#said")).to_contain_text("Noted as fraud")
    page.keyboard.press("u")
    expect(page.locator("#said")).to_contain_text("Taken back")
    expect(page.locator("#case-title")).to_have_text(filled.names["review"])
    page.keyboard.press("s")
    expect(page.locator("#said")).to_contain_text("Snoozed")
    page.goto(f"{site.url}/review/list?state=snoozed")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_rows_are_found_and_written_to_a_file(watched: Page, filled: Filled) -> None:
    page = watched
    page.goto(f"{filled.site.url}/transactions?min_amount={AMOUNT}&decision=review")
    expect(page.locator("tbody tr")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert filled.names["review"] in Path(download.value.path()).read_text()


def test_a_rule_is_tried_a_group_resolved_and_a_kind_muted(watched: Page, filled: Filled) -> None:
    page, site = watched, filled.site
    page.goto(f"{site.url}/rules/rule")
    page.get_by_label("Name").fill("large")
    page.get_by_label("When", exact=True).fill(f"amount >= {AMOUNT}")
    page.get_by_role("button", name="Keep in the draft").click()
    page.get_by_role("button", name="Backtest on the last 7 days").click()
    expect(page.get_by_text("Frauds caught")).to_be_visible(timeout=30_000)
    assert violations(page) == []
    page.goto(f"{site.url}/dead-letters")
    page.get_by_role("link", name=filled.word).click()
    page.get_by_label("Note").fill("mended at the till")
    page.get_by_role("button", name="Resolve").click()
    expect(page.locator(".head .badge")).to_have_text("Resolved")
    page.locator("tbody a").first.click()
    page.wait_for_url("**/letters/*")
    assert violations(page) == []
    page.goto(f"{site.url}/alerts")
    page.get_by_role("button", name="Mute soc for an hour").click()
    expect(page.get_by_role("button", name="Unmute soc")).to_be_visible()
    assert violations(page) == []
    page.goto("about:blank")


def test_thresholds_are_tried_on_the_rows(watched: Page, filled: Filled) -> None:
    page = watched
    page.goto(f"{filled.site.url}/threshold")
    page.locator("#review").fill("0.02")
    page.get_by_role("button", name="Preview on the last week").click()
    expect(
        page.get_by_role("heading", name="What would have been decided otherwise")
    ).to_be_visible()
    expect(page.get_by_role("link", name=filled.names["approve"])).to_be_visible()
    assert violations(page) == []
