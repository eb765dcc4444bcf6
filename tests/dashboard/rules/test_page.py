"""A rule is written, tried and brought into force in a browser, and a transaction hits it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from consumers.score import ScoreStage
from db.migrate import migrate
from model.bundles.policies import publish_policy
from tests.axe import violations
from tests.dashboard.conftest import Site
from tests.faults.bundle import card_bundle
from tests.web import Server, persist, scored, serving, transaction
from tidegate.broker.records import Batch, TopicPartition
from tidegate.messages.documents import Champion, encode
from tidegate.messages.frames import Frames
from tidegate.messages.policy import Policy
from tidegate.pipeline import ALERTS, FEATURES, MODELS, SCORED
from tidegate.stream.side_topic import read_partition
from tidegate.stream.sources import Sources
from tidegate.stream.stage import NoState, Output

TABS = ("rules", "lists", "suppressions", "history")
pytestmark = [pytest.mark.processes, pytest.mark.training]


@pytest.fixture
def own(site: Site, tmp_path: Path) -> Iterator[Site]:
    """A dashboard with a database of its own; at the end nothing is in force any more."""
    database = f"sqlite:///{tmp_path / 'tidegate.db'}"
    migrate(database)
    with serving("dashboard", site.server.env["TIDEGATE_KAFKA"], tmp_path) as server:
        yield Site(server, site.broker, site.profile, database)
    publish_policy(site.broker, site.profile, Policy(), by="the test")


def score(site: Site, name: str, amount: float) -> Output:
    """A transaction is scored by the real stage, which has read the topic models, and persisted."""
    folder, bundle = card_bundle()
    stage = ScoreStage(site.profile, folder)
    for batch in read_partition(site.broker, MODELS, 0):
        stage.absorb(NoState(), batch)
    message = encode(Champion(bundle.hash, site.profile.hash.decode(), 1))
    source, offset = TopicPartition(MODELS, 0), stage.models_offset
    stage.absorb(NoState(), Batch(source, [offset], [b"k"], [message], [0], [None]))
    layout = site.profile.features_layout
    frames = Frames(layout.empty(1), [name.encode()], [b"u1"], [b"{}"], [b""])
    frames.rows["values"] = np.nan
    frames.rows["values"][0, site.profile.values.index("amount")] = amount
    frames.rows["event_us"] = frames.rows["ingest_us"] = 1_790_000_000_000_000
    frames.rows["amount_minor"] = round(amount * 100)
    batch = Batch(
        TopicPartition(FEATURES, 0), [0], [name.encode()], list(layout.pack(frames)), [0], [None]
    )
    output = stage.process(Sources(), batch)
    made = [value for emit in output.emits if emit.topic == SCORED for value in emit.values]
    persist(site.database, site.broker, site.profile, [value for value in made if value])
    return output


def test_a_rule_is_written_tried_and_hit(page: Page, own: Site) -> None:
    past = [scored(own.profile, transaction(uuid.uuid4().hex) | {"amount": 40}) for _ in range(30)]
    persist(own.database, own.broker, own.profile, past)
    page.goto(f"{own.url}/rules")
    expect(page.get_by_text("No rules yet")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("link", name="New rule").click()
    page.get_by_label("Name").fill("large")
    page.get_by_label("Then").select_option("block")
    page.get_by_label("When", exact=True).fill("amount > 5000")
    page.get_by_role("button", name="Keep in the draft").click()
    expect(page.get_by_role("heading", name="Your draft")).to_be_visible()
    expect(page.get_by_role("button", name="Bring it into force")).to_have_count(0)
    page.get_by_role("button", name="Backtest on the last 7 days").click()
    expect(page.get_by_text("30 transactions, ")).to_be_visible()
    expect(page.get_by_text("Frauds caught")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Bring it into force").click()
    expect(page.get_by_text("is in force.")).to_be_visible()
    output = score(own, "t-large", 6_000)
    assert [emit.topic for emit in output.emits] == [SCORED, ALERTS]
    assert b'"rules":["large"]' in (output.emits[1].values[0] or b"")
    assert len(score(own, "t-small", 10).emits) == 1
    page.goto(f"{own.url}/transactions/t-large")
    expect(page.get_by_text("Rules that hit: large")).to_be_visible()


def test_what_is_wrong_stands_at_its_field(browser: Browser, own: Site) -> None:
    page = browser.new_page()  # the browser notes on its console that the answer is a 400
    page.goto(f"{own.url}/rules/rule")
    page.get_by_label("Name").fill("large")
    page.get_by_label("When", exact=True).fill("amuont > 5000")
    page.get_by_role("button", name="Keep in the draft").click()
    expect(page.get_by_text("do you mean amount?")).to_be_visible()
    expect(page.get_by_label("When", exact=True)).to_have_attribute("aria-invalid", "true")
    assert violations(page) == []
    page.close()


def test_every_tab_by_axe_in_both_colours_and_on_a_phone(page: Page, own: Site) -> None:
    page.goto(f"{own.url}/rules/rule")
    page.get_by_label("Name").fill("cash")
    page.get_by_label("When", exact=True).fill("merchant_type == 'cash' and amount > 200")
    page.get_by_role("button", name="Keep in the draft").click()
    expect(page.get_by_role("switch", name="cash")).to_be_visible()
    page.goto(f"{own.url}/rules?tab=lists")
    page.get_by_label("Name").fill("stolen")
    page.get_by_role("button", name="Make it").click()
    page.get_by_label("Values of").fill("u-1\nu-2")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("2 entries")).to_be_visible()
    page.goto(f"{own.url}/rules?tab=suppressions")
    page.get_by_label("Value").fill("u-9")
    page.get_by_role("button", name="Suppress", exact=True).click()
    expect(page.get_by_role("cell", name="u-9")).to_be_visible()
    page.get_by_role("button", name="Backtest").click()
    page.get_by_role("button", name="Bring it into force").click()
    expect(page.get_by_text("is in force.")).to_be_visible()
    page.get_by_role("switch", name="cash").press("Enter")
    expect(page.get_by_role("switch", name="cash")).to_have_attribute("aria-checked", "false")
    shots = os.environ.get("RULES_SHOTS")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            for path in (
                "?tab=rules",
                "?tab=lists",
                "?tab=suppressions",
                "?tab=history",
                "/rule?name=cash",
            ):
                page.goto(f"{own.url}/rules{path}")
                assert violations(page) == [], (scheme, width, path)
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, (path, wide)
                if shots:
                    name = path.strip("?/").replace("=", "-").replace("?", "-")
                    page.screenshot(path=f"{shots}/{name}-{scheme}-{width}.png", full_page=True)


@pytest.mark.parametrize("profile", ["vector", "wallet"])
def test_other_profiles(page: Page, site: Site, tmp_path: Path, profile: str) -> None:
    migrate(f"sqlite:///{tmp_path / 'tidegate.db'}")
    server: Server
    with serving("dashboard", site.server.env["TIDEGATE_KAFKA"], tmp_path, profile) as server:
        for path in ("rules", "rules?tab=lists", "rules?tab=suppressions", "rules/rule"):
            page.goto(f"http://127.0.0.1:{server.port}/{path}")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert violations(page) == []
        page.goto("about:blank")
