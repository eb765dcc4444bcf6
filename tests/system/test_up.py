from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from cli.options import command_name
from tests.support import eventually
from tests.system.pipeline import Pipeline
from tests.web import produce
from tidegate.broker.kafka import KafkaBroker
from tidegate.clock import now_us
from tidegate.pipeline import RAW
from tidegate.profile import load_profile
from tidegate.profile.sample import sample
from tidegate.settings import Settings


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    made = Pipeline(tmp_path_factory.mktemp("up") / "home")
    made.start()
    yield made
    made.close()


def transaction(number: int) -> dict[str, object]:
    return {
        "transaction_id": f"t-{number}",
        "user_id": f"user-{number % 5}",
        "amount": 12.5,
        "merchant": "m-1",
        "timestamp": "2026-01-31T12:00:00Z",
        "merchant_type": "grocery",
        "device_type": "mobile",
        "location_match": True,
    }


def post(pipeline: Pipeline, first: int, count: int) -> None:
    status, answer = pipeline.post(
        "/v1/transactions/batch", [transaction(first + i) for i in range(count)]
    )
    assert (status, answer["accepted"]) == (202, count)


def test_it_says_how_to_go_on(pipeline: Pipeline) -> None:
    printed = eventually(lambda: (text := pipeline.output.read_text()).count("look:") and text)
    assert "training: " in printed, "the first training shows its progress"
    assert f"look:  {command_name()} status" in printed


def test_a_post_becomes_a_row(pipeline: Pipeline) -> None:
    before = pipeline.rows()
    post(pipeline, 0, 50)
    eventually(lambda: pipeline.rows() == before + 50, 20)
    status, row = pipeline.get("/v1/transactions/t-7")
    assert status == 200
    assert row["decision"] in ("approve", "review", "block")


def test_a_killed_stage_is_started_again_and_nothing_is_lost(pipeline: Pipeline) -> None:
    before, old = pipeline.rows(), pipeline.pid("score")
    psutil.Process(old).kill()
    post(pipeline, 1000, 50)
    eventually(lambda: pipeline.pid("score") != old, 10)
    eventually(lambda: pipeline.rows() == before + 50, 40)
    assert "score backoff: SIGKILL" in pipeline.output.read_text()


def test_status_names_every_process(pipeline: Pipeline) -> None:
    done = eventually(
        lambda: (found := pipeline.run("status", "--json")).returncode == 0 and found, 30
    )
    told = json.loads(done.stdout)
    names = {process["process"] for process in told["processes"]}
    assert {"preprocess", "preprocess-2", "score", "persist", "label", "learn"} <= names
    servers = {server["name"]: server["healthy"] for server in told["servers"]}
    assert servers == {"ingest": True, "dashboard": True}
    assert (told["causes"], told["dead_letters"]["waiting"]) == ([], 0)


def test_dead_letters_are_counted_and_listed(pipeline: Pipeline) -> None:
    file = pipeline.home.parent / "verdicts.csv"
    file.write_text("transaction_id,label\nt-7,1\nnobody,0\n")
    done = pipeline.run("feedback", str(file))
    assert done.returncode == 1
    assert "1 joined with their rows\n1 of unknown transactions" in done.stdout
    [letter] = json.loads(pipeline.run("dead-letters", "--json").stdout)
    assert (letter["transaction_id"], letter["reason"]) == ("nobody", "unknown_transaction")
    status = json.loads(pipeline.run("status", "--json").stdout)
    assert status["dead_letters"]["reasons"] == {"unknown_transaction": 1}


def test_a_bad_record_is_mended_on_the_page_and_becomes_a_row(
    pipeline: Pipeline, page: Page
) -> None:
    site = f"http://127.0.0.1:{pipeline.env['TIDEGATE_DASHBOARD_PORT']}"
    broker = KafkaBroker(Settings(kafka=f"127.0.0.1:{pipeline.env['TIDEGATE_KAFKA_PORT']}"))
    bad = transaction(1) | {"transaction_id": "mended", "amount": "12,50"}
    produce(broker, RAW, json.dumps(bad).encode())
    page.goto(f"{site}/dead-letters")
    page.get_by_role("link", name="amount").click()  # the group comes by itself
    page.locator("tbody a").first.click()
    box = page.get_by_role("textbox", name="Mend a copy")
    box.fill(box.input_value().replace('"12,50"', "12.5"))
    page.get_by_role("button", name="Compare and dry-run").click()
    expect(page.locator("#checked .badge")).to_have_text("would pass", timeout=60_000)
    page.get_by_role("button", name="Redrive the mended copy").click()
    expect(page.locator("#job")).to_contain_text("1 letter is back on transactions.raw.")
    eventually(lambda: pipeline.get("/v1/transactions/mended")[0] == 200, 20)
    page.goto(f"{site}/transactions/mended")
    expect(page.locator("#decision")).to_be_visible()
    page.goto(f"{site}/pipeline")
    expect(page.locator("#health-text")).to_have_text("All stages are running")


def test_a_second_up_on_the_same_home_is_refused(pipeline: Pipeline) -> None:
    done = pipeline.run("up")
    assert done.returncode == 78
    assert "already runs" in done.stderr


def test_a_taken_port_is_refused(pipeline: Pipeline, tmp_path: Path) -> None:
    other = Pipeline(tmp_path / "home", env={"TIDEGATE_PORT": str(pipeline.port)})
    done = other.run("up")
    assert done.returncode == 78
    assert f"port {pipeline.port}" in done.stderr
    assert "TIDEGATE_PORT" in done.stderr


def test_sigterm_drains_everything_and_the_next_start_goes_on(pipeline: Pipeline) -> None:
    rows, family = pipeline.rows(), pipeline.family()
    assert pipeline.stop(signal.SIGTERM) == 0
    assert not [
        member
        for member in family
        if member.is_running() and member.status() != psutil.STATUS_ZOMBIE
    ]
    pipeline.start(timeout=150)
    post(pipeline, 2000, 50)
    eventually(lambda: pipeline.rows() == rows + 50, 20)


def test_nothing_survives_a_killed_supervisor(pipeline: Pipeline) -> None:
    family = pipeline.family()
    assert len(family) > 8
    assert pipeline.process is not None
    pipeline.process.kill()
    pipeline.process.wait()
    eventually(
        lambda: (
            not [
                member
                for member in family
                if member.is_running() and member.status() != psutil.STATUS_ZOMBIE
            ]
        ),
        5,
    )
    rows = pipeline.rows()
    pipeline.start(timeout=150)
    post(pipeline, 3000, 50)
    eventually(lambda: pipeline.rows() == rows + 50, 30)


def test_another_profile_takes_over_when_nothing_is_under_way(pipeline: Pipeline) -> None:
    rows = pipeline.rows()
    assert pipeline.stop() == 0
    pipeline.env["TIDEGATE_PROFILE"] = "vector"
    pipeline.start()
    status, answer = pipeline.post("/v1/transactions", sample(load_profile("vector"), now_us()))
    assert status == 202
    eventually(lambda: pipeline.rows() == rows + 1, 20)
    assert pipeline.get(f"/v1/transactions/{answer['transaction_id']}")[0] == 200
    assert pipeline.stop(signal.SIGINT) == 0
