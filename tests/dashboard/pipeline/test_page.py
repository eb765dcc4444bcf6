"""The pipeline page, in a real browser."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.axe import violations
from tests.dashboard.conftest import Site
from tests.web import heartbeats
from tidegate.pipeline import stage_inputs


def test_the_pipeline_page(page: Page, site: Site) -> None:
    ids = site.broker.topic_ids(list(stage_inputs(2).values()))
    wanted = {stage: ids[topic][1] for stage, topic in stage_inputs(2).items()}
    page.goto(f"{site.url}/pipeline")
    assert violations(page) == []
    heartbeats(site.broker, wanted, lag=1234, restarts=2)
    expect(page.locator("#health-text")).to_have_text("All stages are running")
    expect(page.locator("#stages")).to_contain_text("3 of 3 partitions")
    line = page.locator("#processes tr", has_text="score-1")
    expect(line).to_contain_text("1,234")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert violations(page) == []
    heartbeats(site.broker, {"score": 1})
    expect(page.locator("#missing")).to_contain_text(
        "score: partitions 1, 2 not assigned and restored"
    )
