"""The pages of decisions on a pipeline that runs, in a real browser."""

from __future__ import annotations

import csv
import io
import json
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pa_parquet
import pytest
from playwright.sync_api import Page, expect

from tests.axe import violations
from tests.support import eventually
from tests.system.pipeline import Pipeline, trained_card
from tests.web import transaction

pytestmark = pytest.mark.processes
SECONDS = 180
"""For what a command of its own or all stages have to do, while other tests take the processors."""
FORMULA = "=cmd|'/c calc'!A0"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    home = tmp_path_factory.mktemp("decisions") / "home"
    made = Pipeline(home, bundles=trained_card())
    made.start()
    decided_by(made, "first")  # else a stage that never decides would look like a slow one
    yield made
    made.close()


def address(pipeline: Pipeline, path: str) -> str:
    return f"http://127.0.0.1:{pipeline.env['TIDEGATE_DASHBOARD_PORT']}{path}"


def a_file(path: Path, rows: int) -> None:
    """Card transactions; one is no transaction, and one holds a formula."""
    now = time.time()
    made = [
        transaction(
            f"b-{number}",
            user_id=f"u-{number % 7}",
            amount=round(10 + number * 1.5, 2),
            timestamp=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - rows + number)),
        )
        for number in range(rows)
    ]
    made[3]["amount"] = "not a number"
    made[5]["merchant"] = FORMULA
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(made[0]))
        writer.writeheader()
        writer.writerows(made)


def test_a_file_is_sent_and_comes_back_decided(
    page: Page, pipeline: Pipeline, tmp_path: Path
) -> None:
    path = tmp_path / "payments.csv"
    a_file(path, 300)
    page.goto(address(pipeline, "/batch"))
    assert violations(page) == []
    page.get_by_label("CSV, Parquet or JSON lines").set_input_files(path)
    page.get_by_role("button", name="Upload and look").click()
    expect(page.locator("#mapping")).to_contain_text("merchant_type")
    expect(page.locator("#refused")).to_have_text("1")
    expect(page.get_by_text("row 4")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Send it").click()
    expect(page.locator("#scored")).to_have_text("299", timeout=1000 * SECONDS)
    expect(page.locator("#rows")).to_have_text("300")
    expect(page.locator("#rejected")).to_have_text("1")
    expect(page.locator("#undecided")).to_have_text("0")
    assert violations(page) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    text = Path(download.value.path()).read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 300
    assert [row["transaction_id"] for row in rows] == [f"b-{number}" for number in range(300)]
    assert rows[3]["outcome"] == "rejected"
    assert "amount" in rows[3]["problem"]
    assert rows[3]["decision"] == ""
    assert rows[5]["merchant"] == "'" + FORMULA
    assert {row["outcome"] for row in rows} == {"scored", "rejected"}
    assert {row["decision"] for row in rows} <= {"", "approve", "review", "block"}
    assert 0 <= float(rows[7]["score"]) <= 1
    with page.expect_download() as download:
        page.get_by_role("link", name="Parquet").click()
    table = pa_parquet.read_table(download.value.path()).to_pydict()
    assert table["merchant"][5] == FORMULA
    assert table["score"][7] == float(rows[7]["score"])
    assert [name or "" for name in table["risk_level"]] == [row["risk_level"] for row in rows]
    page.get_by_role("link", name="b-", exact=False).first.click()
    expect(page.locator("#decision")).to_be_visible()
    _known_when_it_comes_again(page, pipeline, path)


def _known_when_it_comes_again(page: Page, pipeline: Pipeline, path: Path) -> None:
    page.goto(address(pipeline, "/batch"))
    page.get_by_label("CSV, Parquet or JSON lines").set_input_files(path)
    page.get_by_role("button", name="Upload and look").click()
    page.get_by_role("button", name="Send it").click()
    expect(page.locator("#known")).to_have_text("299", timeout=1000 * SECONDS)
    expect(page.locator("#scored")).to_have_text("0")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="payments.csv")).to_have_count(1)


def test_a_challenger_is_trained_and_promoted(page: Page, pipeline: Pipeline) -> None:
    page.goto(address(pipeline, "/models"))
    before = page.locator(".sides thead .mono").first.inner_text()
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator("#job progress")).to_be_visible()
    assert violations(page) == []
    expect(page.locator("#job").get_by_text("Trained")).to_be_visible(timeout=1000 * SECONDS)
    trained = page.locator("#job a").inner_text()
    assert trained != before
    expect(page.locator("polyline.challenger")).to_have_count(3)
    page.get_by_role("button", name="Let it shadow").click()
    expect(page.get_by_text("The shadow scores beside the champion")).to_be_visible()
    expect(page.get_by_role("heading", name="Shadow against the champion")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="End the shadow").click()
    expect(page.get_by_text("It has ended.")).to_be_visible()
    page.get_by_label("Canary for").fill("20")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("20 % of the accounts")).to_be_visible()
    expect(page.get_by_role("heading", name="Canary against the champion")).to_be_visible()
    page.get_by_role("button", name="End the canary").click()
    page.get_by_role("button", name="Promote").click()
    expect(page.get_by_text("The champion is promoted.")).to_be_visible(timeout=1000 * SECONDS)
    expect(page.locator("#champion-text")).to_have_text(f"{trained}, used by 1 of 1 scorer")
    page.get_by_role("button", name="Roll back").click()
    expect(page.locator("#champion-text")).to_have_text(f"{before}, used by 1 of 1 scorer")
    done = pipeline.run("models", "history", "--json")
    orders = [(row["role"], row["bundle"]) for row in json.loads(done.stdout)]
    assert orders[-2:] == [("champion", trained), ("champion", before)]
    told = pipeline.run("audit", "export").stdout
    assert "model promoted" in told
    assert "shadow set" in told


def decided_by(pipeline: Pipeline, name: str) -> str:
    """The policy that a new row names."""
    pipeline.post("/v1/transactions?wait_ms=5000", transaction(name))
    eventually(lambda: pipeline.get(f"/v1/transactions/{name}")[0] == 200, SECONDS)
    return str(pipeline.get(f"/v1/transactions/{name}")[1]["policy"])


def test_thresholds_are_moved_and_rows_name_the_policy(page: Page, pipeline: Pipeline) -> None:
    page.goto(address(pipeline, "/threshold"))
    expect(page.locator("#present")).to_contain_text("review 0.5, block 0.9")
    assert violations(page) == []
    page.get_by_role("link", name="Balanced").click()
    expect(page.locator("#review")).to_have_value("0.2")
    slider = page.get_by_role("slider", name="Review from")
    slider.focus()
    for _ in range(4):
        slider.press("ArrowLeft")
    expect(page.locator("#review")).to_have_value("0.18")
    page.get_by_role("button", name="Preview on the last week").click()
    expect(page).to_have_url(address(pipeline, "/threshold?review=0.18&block=0.9"))
    expect(
        page.get_by_role("heading", name="What would have been decided otherwise")
    ).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Set these thresholds").click()
    expect(page.locator("#present")).to_contain_text("review 0.18, block 0.9")
    version = re.search(r"policy (\w{16})", page.locator("#present").inner_text())
    assert version
    eventually(lambda: decided_by(pipeline, f"t-{uuid.uuid4().hex}") == version[1], SECONDS)
    page.goto(address(pipeline, "/try"))
    page.get_by_role("button", name="Score it").click()
    expect(page.get_by_text("Reviewed from 0.18, blocked from 0.9.")).to_be_visible(
        timeout=1000 * SECONDS
    )
    page.goto(address(pipeline, "/threshold"))
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#present")).to_contain_text("review 0.5, block 0.9")
    eventually(lambda: decided_by(pipeline, f"t-{uuid.uuid4().hex}") != version[1], SECONDS)
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert violations(page) == []
    assert "thresholds set" in pipeline.run("audit", "export").stdout


@pytest.mark.long
def test_a_hundred_thousand_rows_come_back_within_a_minute(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    path, rows = tmp_path / "many.csv", 100_000
    now = time.time() - rows
    fields = list(transaction("x"))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        for number in range(rows):
            moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + number))
            account, shop = f"u-{number % 5000}", f"m-{number % 700}"
            writer.writerow(
                transaction(f"k-{number}", user_id=account, merchant=shop, timestamp=moment)
            )
    begun = time.monotonic()
    done = pipeline.run("batch", str(path), "--into", str(tmp_path), "--json", timeout=300)
    seconds = time.monotonic() - begun
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcomes"] == {"scored": rows}
    assert seconds < 60
    assert pa_parquet.read_metadata(tmp_path / "results.parquet").num_rows == rows
