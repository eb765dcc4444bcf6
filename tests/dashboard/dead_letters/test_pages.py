"""The dead letters' pages in a real browser: groups, a group, a letter, whatever it holds."""

from __future__ import annotations

import itertools
import json
import uuid

import pytest
from playwright.sync_api import Page, expect

from tests.axe import violations
from tests.dashboard.conftest import Site
from tests.dashboard.dead_letters.letters import Bad, die
from tests.dashboard.test_pages import XSS
from tests.web import scored, transaction
from tidegate.pipeline import SCORED

OFFSETS = itertools.count(10_000_000, 1_000_000)
"""Where the records of each test lay: no two tests share one."""


def fault() -> str:
    """A word that no other test's dead letters have."""
    return "f" + "".join(chr(97 + int(digit, 16)) for digit in uuid.uuid4().hex[:12])


def axe_in_both(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert violations(page) == []


def open_group(page: Page, site: Site, word: str) -> None:
    page.goto(f"{site.url}/dead-letters")
    page.get_by_role("link", name=word).click()


def test_groups_letters_and_one_of_them(page: Page, site: Site) -> None:
    word = fault()
    page.goto(f"{site.url}/dead-letters?state=quarantined")
    expect(page.get_by_text("No group is here")).to_be_visible()
    axe_in_both(page)
    page.goto(f"{site.url}/dead-letters")
    bad = [
        Bad(b'{"transaction_id": "tx-%d", "user_id": "u-1", "amount": "%d"}' % (i, i), "")
        for i in range(30)
    ]
    die(
        site.broker,
        site.profile,
        next(OFFSETS),
        [one._replace(detail=f"{word}: got '{i}' at {i}") for i, one in enumerate(bad)],
    )
    line = page.locator("tr", has_text=word)
    expect(line).to_contain_text(f"{word}: got <text> at <number>")  # it comes by itself
    expect(line.locator("td").nth(2)).to_have_text("30")
    expect(line.locator("svg rect")).to_have_count(1)
    axe_in_both(page)
    page.get_by_role("link", name=word).click()
    expect(page.locator("tbody tr")).to_have_count(25)
    expect(page.locator("tbody")).to_contain_text(f"{word}: got '29' at 29")
    axe_in_both(page)
    page.get_by_role("link", name="Older letters").click()
    expect(page.locator("tbody tr")).to_have_count(5)
    page.get_by_role("row", name="tx-3 ").get_by_role("link").click()
    expect(page.locator("#record")).to_contain_text('"amount": "3"')
    expect(page.locator("main")).to_contain_text("transactions.raw")
    axe_in_both(page)
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("/dead-letters", page.url.removeprefix(site.url)):
        page.goto(site.url + path)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_whatever_a_record_holds_is_shown_safely(page: Page, site: Site) -> None:
    word, frame = fault(), scored(site.profile, transaction("in-a-frame"))
    values = {
        "markup": json.dumps({"transaction_id": XSS, "user_id": "u", "merchant": XSS}).encode(),
        "long": json.dumps({"transaction_id": "big", "note": "x" * 1_000_000}).encode(),
        "text": b"not JSON, " + XSS.encode(),
        "binary": b"\x00\xff\xfe<script>" + bytes(range(256)),
        "deep": b"[" * 5_000,
        "number": b'{"transaction_id": 1e400, "amount": 123456789012345678901234567890}',
    }
    bad = [
        Bad(value, f"{word} {XSS}", headers=[(XSS, XSS.encode()), ("h", b"\xff\x00")])
        for value in values.values()
    ]
    framed = Bad(frame, f"{word} {XSS}", stage="persist", topic=SCORED)
    die(site.broker, site.profile, next(OFFSETS), [*bad, Bad(b"", f"{word} {XSS}"), framed])
    page.goto(f"{site.url}/dead-letters?stage=persist")
    page.get_by_role("link", name=word).click()
    page.locator("tbody a").first.click()
    expect(page.locator("#record")).to_contain_text('"id": "in-a-frame"')
    page.goto(f"{site.url}/dead-letters?stage=preprocess")
    page.get_by_role("link", name=word).click()
    expect(page.locator("tbody tr")).to_have_count(7)
    places = page.locator("tbody a").evaluate_all("all => all.map(one => one.href)")
    seen = []
    for place in places:
        page.goto(place)
        seen.append(page.locator("main").inner_text())
        assert page.locator("main img").count() == 0
    assert sum(XSS in text for text in seen) == 7
    for said in ("It is not JSON", "It is not text", "longer than what is shown", "has no value"):
        assert any(said in text for text in seen), said
    assert any("00 ff fe 3c 73 63 72" in text for text in seen)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/dead-letters?state=nonsense", 400),
        ("/dead-letters?stage=" + "x" * 10_000, 200),
        ("/dead-letters?state=%00&stage=%ED%A0%80", 400),
        ("/dead-letters/now?state=all&stage=%00'%22", 200),
        ("/dead-letters/groups/000000000000", 404),
        ("/dead-letters/groups/%2F..%2F%27", 404),
        ("/dead-letters/letters/0:999999999", 404),
        ("/dead-letters/letters/999999:1", 404),
        ("/dead-letters/letters/-1:-1", 404),
        ("/dead-letters/letters/" + "9" * 10_000, 404),
        ("/dead-letters/letters/%00", 404),
    ],
)
def test_strange_addresses(site: Site, path: str, status: int) -> None:
    assert site.server.get(path).status == status


def test_strange_pages_of_a_group(page: Page, site: Site) -> None:
    word = fault()
    die(site.broker, site.profile, next(OFFSETS), [Bad(b"{}", word)])
    open_group(page, site, word)
    path = page.url.removeprefix(site.url)
    for number, status in (("-1", 400), ("9" * 30, 400), ("x", 200), ("77", 200)):
        assert site.server.get(f"{path}?page={number}").status == status
