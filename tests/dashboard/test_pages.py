"""The pages as people see them, in a real browser."""

from __future__ import annotations

import http.client
import json
import uuid
from pathlib import Path

import numpy as np
import psutil
import pytest
from playwright.sync_api import Locator, Page, expect

from db.migrate import migrate
from db.revisions import Revision, write_revisions
from tests.dashboard.conftest import Site
from tests.producers.api.test_post import records
from tests.support import eventually
from tests.web import persist, scored, serving, transaction
from tidegate.pipeline import FEEDBACK

XSS = '<img src=x onerror="alert(1)"><script>alert(2)</script>'


def fresh() -> str:
    return f"d-{uuid.uuid4().hex[:12]}"


def live(page: Page, site: Site) -> None:
    """Open the table and wait until its stream runs."""
    page.goto(site.url)
    expect(page.locator("#rate")).not_to_have_text("\u2013")


def row(page: Page, transaction_id: str) -> Locator:
    return page.locator(f"#rows tr[data-id='{transaction_id}']")


def test_a_scored_transaction_appears_by_itself(page: Page, site: Site) -> None:
    live(page, site)
    wanted = fresh()
    site.arrive(wanted, "review")
    found = row(page, wanted)
    expect(found).to_contain_text("Corner Shop")
    expect(found.locator(".badge")).to_have_text("Review")
    expect(found).to_contain_text("user_amount_zscore")
    expect(found).to_contain_text("12.50")
    expect(page.locator("#count-review")).not_to_have_text("0")


def test_the_filter_shows_one_decision(page: Page, site: Site) -> None:
    before = {decision: fresh() for decision in ("approve", "review", "block")}
    for decision, wanted in before.items():
        site.arrive(wanted, decision, live=False)
    live(page, site)
    expect(row(page, before["approve"])).to_be_visible()
    page.get_by_role("button", name="Blocked").click()
    expect(row(page, before["block"])).to_be_visible()
    expect(row(page, before["review"])).to_have_count(0)
    expect(page).to_have_url(f"{site.url}/?decision=block")
    after = fresh()
    site.arrive(fresh(), "approve")
    site.arrive(after, "block")
    expect(row(page, after)).to_be_visible()
    assert set(page.locator("#rows .badge").all_inner_texts()) == {"Blocked"}


def test_older_rows_come_by_pages(page: Page, site: Site) -> None:
    wanted = [fresh() for _ in range(60)]
    for one in wanted:
        site.arrive(one, "approve", live=False)
    live(page, site)
    expect(row(page, wanted[-1])).to_be_visible()
    expect(row(page, wanted[0])).to_have_count(0)
    page.get_by_role("button", name="Older transactions").click()
    expect(row(page, wanted[0])).to_have_count(1)
    shown = [
        one
        for one in page.locator("#rows tr").evaluate_all("all => all.map(one => one.dataset.id)")
        if one in wanted
    ]
    assert shown == wanted[::-1]


def test_nothing_jumps_while_one_reads(page: Page, site: Site) -> None:
    first, held, after = fresh(), fresh(), fresh()
    live(page, site)
    site.arrive(first, "review")
    row(page, first).hover()
    site.arrive(held, "review")
    news = page.get_by_role("button", name="new")
    expect(news).to_be_visible()
    expect(row(page, held)).to_have_count(0)
    news.click()
    expect(row(page, held)).to_be_visible()
    expect(news).to_be_hidden()
    site.arrive(after, "review")
    expect(row(page, after)).to_be_visible()


def test_one_transaction(page: Page, site: Site) -> None:
    wanted = fresh()
    site.arrive(wanted, "block")
    live(page, site)
    page.get_by_role("link", name=wanted).click()
    expect(page.locator("#decision")).to_have_text("Blocked")
    reasons = page.locator("#reasons")
    expect(reasons).to_contain_text("user_amount_zscore 6.2")
    expect(reasons).to_contain_text("+2.310")
    expect(reasons).to_contain_text("Would pass if user_amount_zscore were at most 3.5.")
    expect(reasons.locator("rect.up")).to_have_count(2)
    for stage in ("preprocess", "preprocess 2", "score", "persist"):
        expect(page.locator("#times")).to_contain_text(stage)
    expect(page.locator("#times")).to_contain_text("ms")
    expect(page.locator("#payload")).to_contain_text("Corner Shop")
    for model in site.profile.models.names:
        expect(page.locator("main")).to_contain_text(model)


def test_a_revision_stands_beside_the_decision(page: Page, site: Site) -> None:
    wanted, body = fresh(), transaction(None)
    persist(
        site.database,
        site.broker,
        site.profile,
        [scored(site.profile, body | {"transaction_id": wanted}, left_out="lightgbm")],
    )
    page.goto(f"{site.url}/transactions/{wanted}")
    said = "Decided without lightgbm, which failed or came too late."
    expect(page.locator("#degraded")).to_have_text(said)
    write_revisions(
        site.database, [Revision(wanted, 1, 0.75, "review", np.array([0.8, 0.7]).tobytes())]
    )
    page.reload()
    expect(page.locator("#degraded")).to_have_text(f"{said} With all detectors: 0.7500, Review.")


@pytest.mark.parametrize("shape", ["{}", "/{}//verdict;v=1"])
def test_a_verdict_reaches_the_feedback_topic(page: Page, site: Site, shape: str) -> None:
    wanted = shape.format(fresh())
    site.arrive(wanted, "block", live=False)
    live(page, site)
    page.get_by_role("link", name=wanted).click()
    page.get_by_role("button", name="Legitimate").click()
    expect(page.get_by_role("status")).to_contain_text("legitimate")
    found = [
        value for _, value in records(site.broker, FEEDBACK) if value["transaction_id"] == wanted
    ]
    assert [(one["verdict"], one["source"]) for one in found] == [("legitimate", "dashboard")]


def test_markup_in_a_field_stays_text(page: Page, site: Site) -> None:
    history, live_one = fresh(), fresh()
    site.arrive(history, "block", live=False, merchant=XSS)
    live(page, site)
    expect(row(page, history)).to_contain_text(XSS)
    site.arrive(live_one, "approve", merchant=XSS)
    expect(row(page, live_one)).to_contain_text(XSS)
    page.goto(f"{site.url}/transactions/{history}")
    expect(page.locator("#payload")).to_contain_text(XSS)
    assert page.locator("main img").count() == 0
    nowhere = site.server.get("/transactions/%3Cscript%3Ealert(1)%3C/script%3E")
    assert nowhere.status == 404
    assert b"<script>alert" not in nowhere.body


def test_dark_and_light(page: Page, site: Site) -> None:
    page.emulate_media(color_scheme="light")
    live(page, site)
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate(colour) != light
    page.reload()
    assert page.evaluate(colour) != light, "the choice is kept"


def test_nothing_from_elsewhere(site: Site) -> None:
    for path in (
        "/",
        "/pipeline",
        "/models",
        "/transactions/nobody",
        "/static/live.js",
        "/static/app.css",
    ):
        answer = site.server.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert b"https://" not in answer.body
    foreign = site.server.ask(
        "POST",
        "/transactions/x/verdict",
        b"verdict=fraud",
        "application/x-www-form-urlencoded",
        {"Sec-Fetch-Site": "cross-site"},
    )
    assert foreign.status == 400, "it has not the token of a page of ours"


def test_wrong_questions(site: Site) -> None:
    assert site.server.get("/rows?decision=maybe").status == 400
    assert site.server.get("/rows?cursor=x").status == 400
    form = site.server.ask(
        "POST", "/transactions/x/verdict", b"verdict=maybe", "application/x-www-form-urlencoded"
    )
    assert form.status == 400
    assert json.loads(site.server.get("/healthz").body) == {"status": "ok"}


def test_closed_pages_give_their_stream_back(site: Site) -> None:
    """More pages in a row than streams at a time."""

    def stream() -> bool:
        link = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=10)
        link.request("GET", "/events")
        answer = link.getresponse()
        good = answer.status == 200 and answer.read(6) == b"retry:"
        link.close()
        return good

    for _ in range(40):
        eventually(stream, 10)


def test_it_ends_at_once_though_pages_are_open(site: Site, tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path / 'tidegate.db'}")
    with serving("dashboard", site.server.env["TIDEGATE_KAFKA"], tmp_path) as server:
        link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        link.request("GET", "/events")
        assert link.getresponse().read(6) == b"retry:"
        workers = psutil.Process(server.process.pid).children()
        server.process.terminate()
        server.process.wait(6)
        link.close()
    assert not psutil.wait_procs(workers, 2)[1]


def test_no_worker_outlives_its_server(site: Site, tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path / 'tidegate.db'}")
    with serving("dashboard", site.server.env["TIDEGATE_KAFKA"], tmp_path) as server:
        workers = psutil.Process(server.process.pid).children()
        assert workers
        server.process.kill()
        assert not psutil.wait_procs(workers, 5)[1]
