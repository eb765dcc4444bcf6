"""Amounts of trillions, and payments without a merchant, on a running system."""

from __future__ import annotations

import csv
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support import eventually
from tests.system.pipeline import ROOT, Pipeline

pytestmark = pytest.mark.training

START = 1_790_000_000
LARGEST = 9_999_999_999_999.99
PROFILE = (ROOT / "tests/data/transfers.yaml").read_text()
HISTORY = "{file: history.csv, label: label}"


def transfer(number: int, **changes: object) -> dict[str, Any]:
    return {
        "transaction_id": f"t-{number}",
        "user_id": "u-1",
        "amount": LARGEST,
        "timestamp": START + number,
        "device_type": "mobile",
    } | changes


def history(file: Path) -> None:
    """Frauds are large, and half of all payments have no merchant."""
    draw = Random(1)
    with file.open("w") as stream:
        rows = csv.writer(stream)
        rows.writerow([*transfer(0), "merchant", "label"])
        for number in range(4000):
            fraud = draw.random() < 0.1
            amount = round(draw.uniform(0.5, 1) * LARGEST if fraud else draw.uniform(1, 1e6), 2)
            merchant = draw.choice(["", f"m-{draw.randrange(20)}"])
            row = transfer(number, user_id=f"u-{draw.randrange(50)}", amount=amount)
            row["timestamp"] = START - 40 * 86_400 + 600 * number
            rows.writerow([*row.values(), merchant, int(fraud)])


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("transfers")
    history(folder / "history.csv")
    profile = folder / "transfers.yaml"
    profile.write_text(PROFILE.replace("{simulate: 60000}", HISTORY))
    running = Pipeline(folder / "home", str(profile))
    running.start(timeout=400)
    yield running
    running.close()


def post(pipeline: Pipeline, numbers: range, **changes: object) -> None:
    for number in numbers:
        assert pipeline.post("/v1/transactions", transfer(number, **changes))[0] == 202


def row(pipeline: Pipeline, number: int) -> dict[str, Any]:
    found = pipeline.get(f"/v1/transactions/t-{number}")[1]
    assert isinstance(found, dict)
    return found


def test_amounts_of_trillions_count_exactly_with_and_without_a_merchant(pipeline: Pipeline) -> None:
    post(pipeline, range(4))
    post(pipeline, range(4, 8), merchant="m-1", user_id="u-2")
    eventually(lambda: pipeline.rows() == 8, 60)
    alone, sold = row(pipeline, 3), row(pipeline, 7)
    assert alone["amount_minor"] == sold["amount_minor"] == 999_999_999_999_999
    assert alone["payload"]["amount"] == LARGEST
    for features in (alone["features"], sold["features"]):
        assert features["user_count_1h"] == 4
        assert features["user_sum_1d"] == 4 * 999_999_999_999_999 / 100
        assert features["user_deviation_7d"] == 0
    assert sold["features"]["merchant_count_7d"] == 4
    assert {value for name, value in alone["features"].items() if name.startswith("merchant_")} == {
        None
    }


def test_after_a_restart_the_windows_go_on(pipeline: Pipeline) -> None:
    assert pipeline.stop(timeout=60) == 0
    pipeline.start(timeout=400)
    post(pipeline, range(8, 10))
    post(pipeline, range(10, 12), merchant="m-1", user_id="u-2")
    eventually(lambda: pipeline.rows() == 12, 60)
    assert row(pipeline, 9)["features"]["user_sum_1d"] == 6 * 999_999_999_999_999 / 100
    assert row(pipeline, 11)["features"]["merchant_count_7d"] == 6


def test_a_verdict_on_a_payment_without_a_merchant_is_learnt(pipeline: Pipeline) -> None:
    said = {"transaction_id": "t-3", "verdict": "fraud", "label_id": "l-3"}
    assert pipeline.post("/v1/feedback", said)[0] == 202
    eventually(lambda: pipeline.get("/v1/feedback/l-3")[1].get("status") == "learnt", 60)


def test_a_replay_computes_the_same_bits_and_the_page_the_same_amount(pipeline: Pipeline) -> None:
    for number in (9, 11):
        done = pipeline.run("replay", f"t-{number}")
        assert done.returncode == 0, done.stdout + done.stderr
    url = f"http://127.0.0.1:{pipeline.env['TIDEGATE_DASHBOARD_PORT']}/transactions/t-9"
    with urllib.request.urlopen(url, timeout=20) as page:
        assert "9\u2009999\u2009999\u2009999\u2009999.99" in page.read().decode()
