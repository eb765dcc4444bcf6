"""The queue, by keyboard and by mouse: every case before one person, every verdict on its way."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from db.cases.sink import CasesSink
from tests.axe import violations
from tests.dashboard.conftest import REASONS, Site
from tests.dashboard.visitor import Visitor
from tests.producers.api.test_post import records
from tests.web import persist, scored, transaction
from tidegate.clock import now_us
from tidegate.pipeline import FEEDBACK

HOUR_US = 3_600_000_000
SPAN = 20_000
"""Amounts that one test has for itself; the profile allows a million."""
PRESS_WHEN_CHANGED = """() => {
  window.neverLeft = true;
  new MutationObserver((_, observer) => {
    observer.disconnect();
    document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "j", bubbles: true}));
  }).observe(document.getElementById("desk"), {childList: true});
}"""


class Flagged:
    """Some cases of their own: a filter on their amount shows no others. The largest is first."""

    _used = iter(range(1, 100))

    def __init__(self, site: Site, count: int, decision: str = "review", **fields: object) -> None:
        self.site, self.base = site, SPAN * next(self._used)
        mark = uuid.uuid4().hex[:6]
        self.ids = [f"r/{mark} {number}" for number in range(count)]
        frames = [
            scored(
                site.profile,
                transaction(name, amount=self.base + count - place, **fields),
                decision,
                0.6,
                REASONS,
            )
            for place, name in enumerate(self.ids)
        ]
        persist(site.database, site.broker, site.profile, frames)

    @property
    def asks(self) -> str:
        return f"min_amount={self.base}&max_amount={self.base + SPAN - 1}"

    @property
    def queue(self) -> str:
        return f"{self.site.url}/review?{self.asks}"

    @property
    def list(self) -> str:
        return f"{self.site.url}/review/list?{self.asks}"


def shows(page: Page, name: str) -> None:
    expect(page.locator("#case-title")).to_have_text(name)


@pytest.fixture
def other(browser: Browser) -> Iterator[Page]:
    """A second browser."""
    page = browser.new_page()
    yield page
    page.close()


def verdicts_of(site: Site, ids: list[str]) -> dict[str, str]:
    """What the stage publishes, once all was held for its time."""
    sink = CasesSink(
        site.database, site.broker, lambda _: (), clock=lambda: now_us() + HOUR_US, daily=20
    )
    sink.settle()
    sink.close()
    found = [value for _, value in records(site.broker, FEEDBACK)]
    return {
        each["transaction_id"]: each["verdict"] for each in found if each["transaction_id"] in ids
    }


def test_ten_cases_by_keyboard_alone(page: Page, site: Site) -> None:
    flagged = Flagged(site, 11)
    page.goto(flagged.queue)
    for number, key in enumerate("flflfflflf"):
        shows(page, flagged.ids[number])
        page.keyboard.press(key)
        said = "Noted as fraud" if key == "f" else "Noted as legitimate"
        expect(page.locator("#said")).to_contain_text(f"{said}: {flagged.ids[number]}")
    shows(page, flagged.ids[10])
    page.keyboard.press("u")
    shows(page, flagged.ids[9])
    expect(page.locator("#said")).to_have_text(f"Taken back: {flagged.ids[9]}.")
    page.keyboard.press("l")
    shows(page, flagged.ids[10])
    page.keyboard.press("s")
    expect(page.locator("#desk")).to_contain_text("Nothing is left to review")
    assert violations(page) == []
    words = {"f": "fraud", "l": "legitimate"}
    wanted = {name: words[key] for name, key in zip(flagged.ids, "flflfflfll", strict=False)}
    assert verdicts_of(site, flagged.ids) == wanted
    page.goto(flagged.list + "&state=snoozed")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_next_previous_and_what_is_typed(page: Page, site: Site) -> None:
    flagged = Flagged(site, 3)
    page.goto(flagged.queue)
    shows(page, flagged.ids[0])
    for key, place in (("j", 1), ("j", 2), ("j", 0), ("k", 2), ("k", 1)):
        page.keyboard.press(key)
        shows(page, flagged.ids[place])
    page.reload()
    shows(page, flagged.ids[1])
    page.locator("#note").press_sequentially("full of j k f l s u ?")
    page.get_by_role("button", name="Keep the note").click()
    expect(page.locator(".note")).to_contain_text("full of j k f l s u ?")
    shows(page, flagged.ids[1])
    expect(page.locator("#said")).to_have_text("The note is kept.")
    page.get_by_label("New tag").fill("gang")
    page.get_by_label("New tag").press("Enter")
    page.get_by_role("button", name="Take tag gang off").click()
    expect(page.get_by_role("button", name="Take tag gang off")).to_have_count(0)
    page.get_by_label("Assignee").last.fill("bob")
    page.get_by_role("button", name="Assign").click()
    expect(page.locator("#said")).to_have_text("Assigned to bob.")
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Take the last verdict back")
    assert violations(page) == []
    page.keyboard.press("f")
    page.keyboard.press("Escape")
    shows(page, flagged.ids[1])
    assert verdicts_of(site, flagged.ids) == {}


def test_a_key_counts_as_soon_as_the_next_case_is_there(page: Page, site: Site) -> None:
    """Within the time that htmx gives a swap to settle, its forms would be sent by the browser."""
    flagged = Flagged(site, 3)
    page.goto(flagged.queue)
    page.evaluate(PRESS_WHEN_CHANGED)
    page.keyboard.press("j")
    shows(page, flagged.ids[2])
    assert page.evaluate("window.neverLeft")


def test_two_browsers_never_see_the_same_case(page: Page, other: Page, site: Site) -> None:
    flagged = Flagged(site, 4)
    page.goto(flagged.queue)
    other.goto(flagged.queue)
    shows(page, flagged.ids[0])
    shows(other, flagged.ids[1])
    page.get_by_role("button", name="Next").click()
    shows(page, flagged.ids[2])
    other.get_by_role("button", name="Fraud").click()
    shows(other, flagged.ids[3])
    other.goto(f"{flagged.queue}&case={quote(flagged.ids[2], safe='')}")
    expect(other.locator("#said")).to_contain_text("before somebody else")
    shows(other, flagged.ids[3])
    page.get_by_role("button", name="Legitimate").dblclick()
    shows(page, flagged.ids[0])
    assert verdicts_of(site, flagged.ids).keys() == {flagged.ids[1], flagged.ids[2]}


def test_a_verdict_that_has_left_is_corrected_by_another(page: Page, site: Site) -> None:
    flagged = Flagged(site, 1)
    page.goto(flagged.queue)
    page.get_by_role("button", name="Fraud").click()
    expect(page.locator("#desk")).to_contain_text("Nothing is left to review")
    assert verdicts_of(site, flagged.ids) == {flagged.ids[0]: "fraud"}
    page.keyboard.press("u")
    expect(page.locator("#said")).to_contain_text("had left already")
    shows(page, flagged.ids[0])
    page.keyboard.press("l")
    expect(page.locator("#desk")).to_contain_text("Nothing is left to review")
    assert verdicts_of(site, flagged.ids) == {flagged.ids[0]: "legitimate"}


def test_what_the_case_shows(page: Page, site: Site) -> None:
    markup = "<b onmouseover=alert(1)>Shop</b>"
    flagged = Flagged(site, 1, "block", merchant=markup, user_id="u-of-one-case")
    page.goto(flagged.queue)
    shows(page, flagged.ids[0])
    desk = page.locator("#desk")
    for words in ("Blocked", "user_amount_zscore", "+2.310", "u-of-one-case", markup, "lightgbm"):
        expect(desk).to_contain_text(words)
    expect(desk.locator("tr.this")).to_have_count(2)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of two
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_bulk_says_how_many_and_does_it_to_these(page: Page, site: Site) -> None:
    flagged = Flagged(site, 5)
    page.goto(flagged.list)
    expect(page.locator("tbody tr")).to_have_count(5)
    assert violations(page) == []
    page.get_by_label("Do to all of them").select_option("tag")
    page.get_by_label("Tag or name").fill("gang of five")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("5 cases")
    assert violations(page) == []
    page.get_by_role("button", name="Do it to 5 cases").click()
    expect(page.locator(".said")).to_have_text("Done: 5 cases.")
    expect(page.locator("tbody .chip")).to_have_count(5)
    page.get_by_label("Do to all of them").select_option("fraud")
    page.get_by_role("button", name="Go on").click()
    more = Flagged(site, 1)
    persist(
        site.database,
        site.broker,
        site.profile,
        [scored(site.profile, transaction(more.ids[0] + "x", amount=flagged.base), "block", 0.9)],
    )
    page.get_by_role("button", name="Do it to 5 cases").click()
    expect(page.get_by_role("alert")).to_contain_text("not as many any more")
    page.get_by_role("button", name="Do it to 6 cases").click()
    expect(page.locator("main")).to_contain_text("No case is like this")
    assert len(verdicts_of(site, flagged.ids)) == 5


def test_the_figures(page: Page, site: Site) -> None:
    flagged = Flagged(site, 2)
    page.goto(flagged.queue)
    page.keyboard.press("f")
    shows(page, flagged.ids[1])
    page.goto(f"{site.url}/review/figures")
    expect(page.get_by_role("table", name="By person")).to_contain_text("dashboard")
    expect(page.locator("main")).to_contain_text("Precision of what was flagged")
    assert violations(page) == []
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


WRONG = (
    "state=x",
    "kind=sampled",
    "min_amount=lots",
    "min_amount=1e99999",
    "tag=" + "x" * 41,
    "assignee=" + "x" * 10_000,
    "tag=%00",
    "tag=%ED%A0%80",
    "case=%00",
    "case=" + "x" * 10_000,
)


@pytest.mark.parametrize("asked", WRONG)
def test_an_address_that_no_page_gave(site: Site, asked: str) -> None:
    assert site.server.get(f"/review?{asked}").status in (200, 400)
    assert site.server.get(f"/review/list?{asked}").status in (200, 400)


def test_strange_acts_change_nothing(site: Site) -> None:
    flagged = Flagged(site, 1)
    visitor, case = Visitor(site.server), {"case": flagged.ids[0]}
    for path, fields, status in (
        ("verdict", case | {"verdict": "maybe"}, 400),
        ("verdict", {"verdict": "fraud"}, 400),
        ("verdict", {"case": "\0", "verdict": "fraud"}, 400),
        ("verdict", {"case": "nobody", "verdict": "fraud"}, 303),
        ("move?kind=x", case, 400),
        ("snooze", case | {"for": "ever"}, 400),
        ("note", case | {"note": " "}, 400),
        ("note", case | {"note": "x" * 4_001}, 400),
        ("note", {"case": "nobody", "note": "x"}, 303),
        ("tag", case | {"tag": ""}, 400),
        ("tag", case | {"tag": "a\0b"}, 400),
        ("assign", case | {"assignee": "x" * 81}, 400),
        ("bulk", {"do": "delete"}, 400),
        ("bulk", {"do": "tag", "to": ""}, 400),
        ("bulk", {"do": "snooze", "for": ""}, 400),
        ("bulk", {"do": "fraud", "expected": "-1"}, 400),
        ("bulk?tag=no-such-tag", {"do": "fraud", "expected": "0"}, 200),
    ):
        assert visitor.post(f"/review/{path}", fields).status == status, (path, fields)
    for path in (
        "/review/figures?days=-1",
        "/review/list?after=x&risk=nan&at=1",
        "/review/list?after=x&risk=1&at=99999999999999999999",
        "/review/list?after=%00&risk=1&at=1",
    ):
        assert site.server.get(path).status == 400, path
    assert site.server.ask("POST", "/review/verdict", b"case=x&verdict=fraud").status == 400
    assert verdicts_of(site, flagged.ids) == {}
