"""What people decide reaches the online model, and a rule that they save is hit and told of: on a
pipeline that runs, in a real browser, with a real server behind the webhook.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from standardwebhooks import Webhook as Verifier

from tests.axe import violations
from tests.notify.receivers import SECRET, Receiver, hook, receiver
from tests.support import eventually
from tests.system.pipeline import Pipeline, trained_card
from tests.web import transaction

pytestmark = pytest.mark.processes
LARGE = 700_000
"""More than any other transaction of these tests."""


@pytest.fixture(scope="module")
def soc() -> Iterator[Receiver]:
    """The server behind the webhook."""
    with receiver() as made:
        yield made


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, soc: Receiver) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("told")
    notify = folder / "notify.yaml"
    routes = "routes:\n  - {events: [alert], rules: [very-large], channels: [soc]}\n"
    notify.write_text(f"channels:\n{hook('soc', soc.url)}{routes}")
    made = Pipeline(folder / "home", bundles=trained_card(), env={"TIDEGATE_NOTIFY": str(notify)})
    made.start()
    yield made
    made.close()


def address(pipeline: Pipeline, path: str) -> str:
    return f"http://127.0.0.1:{pipeline.env['TIDEGATE_DASHBOARD_PORT']}{path}"


def send(pipeline: Pipeline, amount: float, **changes: object) -> tuple[str, dict[str, Any]]:
    """A transaction's id, and its row."""
    name = f"l-{uuid.uuid4().hex}"
    pipeline.post("/v1/transactions", transaction(name, amount=amount, **changes))
    path = f"/v1/transactions/{name}"
    eventually(lambda: pipeline.get(path)[0] == 200, 60)
    return name, pipeline.get(path)[1]


def message_about(soc: Receiver, name: str) -> tuple[dict[str, str], bytes]:
    """What the server behind the webhook was sent about a transaction."""

    def found() -> list[tuple[dict[str, str], bytes]]:
        return [each for each in list(soc.requests) if name.encode() in each[1]]

    [message] = eventually(found, 30)
    return message


def test_a_rule_is_saved_with_its_backtest_and_is_hit_and_told_of(
    page: Page, pipeline: Pipeline, soc: Receiver
) -> None:
    send(pipeline, LARGE)
    page.goto(address(pipeline, "/rules/rule"))
    page.get_by_label("Name").fill("very-large")
    page.get_by_label("Then").select_option("block")
    page.get_by_label("When", exact=True).fill(f"amount >= {LARGE}")
    page.get_by_role("button", name="Keep in the draft").click()
    expect(page.get_by_role("heading", name="Your draft")).to_be_visible()
    expect(page.get_by_role("button", name="Bring it into force")).to_have_count(0)
    page.get_by_role("button", name="Backtest on the last 7 days").click()
    expect(page.get_by_text("Frauds caught")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Bring it into force").click()
    expect(page.get_by_text("is in force.")).to_be_visible()
    eventually(lambda: "very-large" in send(pipeline, LARGE + 1)[1]["rules_hit"], 60)

    name, row = send(pipeline, LARGE + 2)
    assert row["decision"] == "block"
    page.goto(address(pipeline, "/rules"))
    hits = page.get_by_role("row", name=re.compile("very-large")).get_by_role("cell").nth(3)
    assert int(hits.inner_text()) >= 2
    assert violations(page) == []
    page.goto(address(pipeline, f"/transactions/{name}"))
    expect(page.get_by_text("Rules that hit: very-large")).to_be_visible()

    headers, body = message_about(soc, name)
    told = Verifier(SECRET).verify(body, headers)
    assert (told["type"], told["data"]["rules"]) == ("alert", ["very-large"])
    assert (told["data"]["transaction_id"], told["data"]["decision"]) == (name, "block")
    page.goto(address(pipeline, "/alerts"))
    line = page.get_by_role("row", name=re.compile(name))
    expect(line.locator(".badge")).to_have_text("sent")
    assert violations(page) == []
    line.get_by_role("link").click()
    expect(page.get_by_role("link", name=name)).to_be_visible()
    expect(page.get_by_text("rules: ['very-large']")).to_be_visible()
    expect(page.locator(".pairs", has_text="channel")).to_contain_text(headers["webhook-id"])


def test_cases_decided_by_keyboard_move_the_online_model(
    browser: Browser, page: Page, pipeline: Pipeline, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules:\n  - {name: look, when: amount >= 500000, action: review}\n")
    done = pipeline.run("rules", "apply", str(policy))
    assert done.returncode == 0, done.stderr
    eventually(lambda: "look" in send(pipeline, 500_000)[1]["rules_hit"], 60)
    names = {send(pipeline, 600_000 + number)[0] for number in range(4)}

    models = browser.new_page()
    models.goto(address(pipeline, "/models"))
    online = models.locator("#online")
    expect(online).to_contain_text("nothing learnt yet")

    page.goto(address(pipeline, "/review?min_amount=600000&max_amount=600003"))
    decided = set()
    for key in "flfl":
        title = page.locator("#case-title")
        decided.add(name := title.inner_text())
        page.keyboard.press(key)
        word = "fraud" if key == "f" else "legitimate"
        expect(page.locator("#said")).to_contain_text(f"Noted as {word}: {name}")
    assert decided == names
    expect(page.locator("#desk")).to_contain_text("Nothing is left to review")

    # nobody reloads the page
    labels, offset = online.locator("dd").nth(0), online.locator("dd").nth(1)
    expect(labels).to_have_text("4 labels", timeout=60_000)
    assert violations(models) == []
    moved = int(offset.inner_text())
    eventually(lambda: send(pipeline, 10)[1]["online_labels"] == moved, 60)
    models.close()
