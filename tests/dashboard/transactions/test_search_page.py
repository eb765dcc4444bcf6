"""The search as people use it: each filter, pages, bad input, in a real browser."""

from __future__ import annotations

import re
import time
import uuid
from urllib.parse import quote, urlencode

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import insert

from db.cases.tables import verdicts
from db.engine import writing
from tests.axe import violations
from tests.dashboard.conftest import Site
from tests.dashboard.visitor import Visitor
from tests.db.said import said
from tests.web import persist, scored, transaction

REASONS = [{"feature": "user_amount_zscore", "value": 6.2, "contribution": 2.31, "text": ""}]


def give_verdict(site: Site, transaction_id: str, *, fraud: bool) -> None:
    """As the stage `cases` writes it."""
    with writing(site.database) as connection:
        given = said(uuid.uuid4().hex, transaction_id, fraud=fraud, given_us=time.time_ns() // 1000)
        connection.execute(insert(verdicts), [given])


@pytest.fixture(scope="module")
def wanted(site: Site) -> str:
    """A transaction that differs from all others in everything one can look for."""
    name = f"find me/{uuid.uuid4().hex[:8]}"
    body = transaction(
        name,
        user_id="u-wanted",
        merchant="Wanted & Söhne",
        amount=7531.25,
        timestamp="2026-01-31T18:30:00Z",
    )
    others = [
        scored(
            site.profile,
            transaction(f"other-{uuid.uuid4().hex[:8]}"),
            "approve" if number else "block",
        )
        for number in range(60)
    ]
    found = scored(site.profile, body, "block", 0.98765, REASONS)
    for frames in ([found], others):
        persist(site.database, site.broker, site.profile, frames)
    give_verdict(site, name, fraud=True)
    return name


FILTERS = [
    {"account": "u-wanted"},
    {"second": "Wanted & Söhne"},
    {"decision": "block", "min_score": "0.98"},
    {"min_score": "0.9876", "max_score": "0.9877"},
    {"min_amount": "7531.25", "max_amount": "7531.25"},
    {"since": "2026-01-31T18:30", "until": "2026-01-31T18:31"},
    {"since": "2026-01-31T19:30:00+01:00", "until": "2026-01-31T18:30:01Z"},
    {"verdict": "fraud", "account": "u-wanted"},
    {"reason": "user_amount_zscore", "min_score": "0.98"},
    {"model": "00aa11bb22cc33dd", "min_amount": "7531", "max_amount": "7532"},
]


@pytest.mark.parametrize("filters", FILTERS, ids=lambda filters: "+".join(filters))
def test_each_filter_finds_it(site: Site, wanted: str, filters: dict[str, str]) -> None:
    answer = site.server.get(f"/transactions?{urlencode(filters)}")
    assert answer.status == 200
    assert answer.body.count(b"<tr data-id=") == 1
    assert f'data-id="{wanted}"'.encode() in answer.body


def test_one_is_found_and_opened(page: Page, site: Site, wanted: str) -> None:
    page.goto(f"{site.url}/transactions")
    found = page.locator("#found tbody tr")
    expect(found).to_have_count(50)
    page.get_by_role("link", name="Older transactions").click()
    expect(page.locator(f"tr[data-id='{wanted}']")).to_be_visible()
    page.get_by_role("link", name="Newest").click()
    page.get_by_label("Id", exact=True).fill(wanted)
    page.keyboard.press("Enter")
    expect(page).to_have_url(
        f"{site.url}/transactions?id={quote(wanted, safe='').replace('%20', '+')}"
    )
    expect(found).to_have_count(1)
    expect(found).to_contain_text("Wanted & Söhne")
    expect(found).to_contain_text("7 531.25".replace(" ", "\u2009"))
    expect(found).to_contain_text("Fraud")
    assert violations(page) == []
    page.get_by_role("link", name=wanted).click()
    expect(page.locator("#decision")).to_have_text("Blocked")


@pytest.mark.usefixtures("wanted")
def test_times_are_the_viewers(browser: Browser, site: Site) -> None:
    page = browser.new_page(timezone_id="America/New_York")
    page.goto(f"{site.url}/transactions?since=2026-01-31T18:30:00&until=2026-01-31T18:31:00")
    since = page.get_by_label("Happened from")
    local = page.evaluate("new Date('2026-01-31T18:30:00Z').toLocaleString('sv').replace(' ', 'T')")
    assert since.input_value().ljust(19, "0")[:16] == local[:16]
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#found tbody tr")).to_have_count(1)
    expect(page).to_have_url(
        f"{site.url}/transactions?since=2026-01-31T18%3A30&until=2026-01-31T18%3A31"
    )
    since.fill("2026-01-31T13:30:01")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(re.compile("since=2026-01-31T18%3A30%3A01&"))
    expect(page.locator("#found tbody tr")).to_have_count(0)
    page.close()


def test_nothing_is_found(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/transactions?account=nobody")
    expect(page.locator("#found")).to_contain_text("No transaction is like this")
    assert violations(page) == []


HOSTILE = {
    "min_score": ["x", "nan", "2", "-1", "1" * 10_000, "inf"],
    "max_amount": ["1e500", "NaN", "0.001", "12,50", "9" * 10_000, "1e-500"],
    "since": ["yesterday", "2026-13-01", "99999-01-01", "\0"],
    "until": ["2026-01-31T25:00"],
    "decision": ["maybe", "'; DROP TABLE transactions"],
    "verdict": ["perhaps"],
    "id": ["a\0b", "x" * 10_000],
    "account": ["\0", "é" * 1_001],
    "second": ["\0"],
    "model": ["\0"],
    "reason": ["x" * 3_000],
    "cursor": ["-1", "x", "9" * 19, "\u0661"],
}


def test_bad_input_is_refused_by_its_field(site: Site) -> None:
    for name, texts in HOSTILE.items():
        for text in texts:
            answer = site.server.get(f"/transactions?{urlencode({name: text})}")
            assert answer.status == 400, (name, text[:40])
            assert b"Nothing was looked for" in answer.body
            assert f'id="fault-{name}"'.encode() in answer.body or name == "cursor"
    harmless = {"id": "../../'\"<b>%00", "account": "\U0001f600", "reason": "%_\\", "x": "1"}
    answer = site.server.get(f"/transactions?{urlencode(harmless)}")
    assert answer.status == 302, "what is not a filter is left out of the address"
    assert site.server.get(answer.headers["location"]).status == 200
    assert site.server.get("/transactions?id=%ff%fe").status == 200
    assert site.server.get("/transactions?cursor=1").status == 200


def test_what_is_found_becomes_a_file(page: Page, site: Site, wanted: str) -> None:
    page.goto(f"{site.url}/transactions?{urlencode({'account': 'u-wanted'})}")
    expect(page.locator("#found tbody tr")).to_have_count(1)
    for kind, read in (("CSV", pd.read_csv), ("Parquet", pd.read_parquet)):
        with page.expect_download() as started:
            page.get_by_role("button", name=kind).click()
        found = read(started.value.path())
        assert found["transaction_id"].tolist() == [wanted]
        assert found["amount"].tolist() == [7531.25]
        assert found["verdict"].tolist() == ["fraud"]


def test_a_wrong_export_is_refused(site: Site) -> None:
    visitor = Visitor(site.server)
    for fields in ({"format": "xls"}, {"format": "csv", "min_score": "7"}, {"min_amount": "x"}):
        assert visitor.post("/transactions/export", fields).status == 400
    assert visitor.post("/transactions/export", {"unmask": "yes"}).status == 403
    assert visitor.post("/transactions/export", {"id": "nobody"}).body.count(b"\r\n") == 1
