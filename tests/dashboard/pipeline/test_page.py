"""The pipeline page, in a real browser."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.axe import violations
from tests.dashboard.conftest import Site
from tests.web import heartbeats
from tidegate.messages.heartbeats import Held, Restoring
from tidegate.pipeline import stage_inputs


def test_focus_and_selection_stay_while_it_changes(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/pipeline")
    button = page.get_by_role("button", name="Count now")
    button.focus()
    node = page.locator("#stage-score").element_handle()
    with page.expect_response("**/pipeline/now"):
        heartbeats(site.broker, {"score": 1}, restarts=7)
    expect(page.locator("#stage-score")).to_contain_text("7 restarts")
    expect(button).to_be_focused()
    assert node is not None
    assert node.evaluate("node => node.isConnected"), "it was patched, not replaced"


def test_a_reconciliation_from_the_page(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/pipeline")
    page.get_by_role("button", name="Count now").click()
    box = page.locator("#reconciliation")
    expect(box.locator(".badge")).not_to_have_text("counting", timeout=60_000)
    expect(box).to_contain_text("acknowledged")
    expect(box).to_contain_text("dead letters")
    assert violations(page) == []


def test_the_pipeline_page(page: Page, site: Site) -> None:
    ids = site.broker.topic_ids(list(stage_inputs(2).values()))
    wanted = {stage: ids[topic][1] for stage, topic in stage_inputs(2).items()}
    page.goto(f"{site.url}/pipeline")
    assert violations(page) == []
    heartbeats(site.broker, wanted, lag=1234, restarts=2)
    expect(page.locator("#health-text")).to_have_text("All stages are running")
    expect(page.locator("#stages")).to_contain_text("3 of 3 partitions")
    expect(page.locator("#stage-notify")).to_have_count(0)
    heartbeats(site.broker, {"notify": 3})
    expect(page.locator("#stage-notify")).to_contain_text("3 of 3 partitions")
    line = page.locator("#processes tr", has_text="score-1")
    expect(line).to_contain_text("1,234")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert violations(page) == []
    heartbeats(
        site.broker,
        {"score": 3},
        lag=9000,
        processed=5000,
        batch=400,
        busy=0.93,
        held=[Held(1, 5, 9, ["<b>bad</b>"])],
        restoring=[Restoring(2, 0.25, 100, 12.0)],
        refused="bundle <i>x</i> is not there",
    )
    node, arrow = page.locator("#stage-score"), page.locator("#to-score")
    expect(node).to_contain_text("93 % busy")
    expect(node).to_contain_text("restoring 2: 25 %, 12 s left")
    expect(arrow).to_contain_text("lag 9,000")
    expect(arrow).to_contain_text("batch 400")
    expect(arrow.locator("b")).not_to_have_text("0 / s")
    expect(page.locator("main")).to_contain_text("tidegate skip score --partition 1 --until 9")
    expect(page.locator("#jam")).to_contain_text("tidegate up --scale score=2")
    expect(page.locator("main")).to_contain_text("bundle <i>x</i> is not there")
    assert violations(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert violations(page) == []
    heartbeats(site.broker, {"score": 1})
    expect(page.locator("#missing")).to_contain_text(
        "score: partitions 1, 2 not assigned and restored"
    )
