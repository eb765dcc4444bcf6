"""A retraining, a backtest and a shadow on rows and verdicts that went through the running
pipeline.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from producers.simulator.history import simulate_history
from tests.support import answering, eventually
from tests.system.pipeline import Pipeline, trained_card
from tidegate.profile import load_profile

COUNT = 20_000
TOLD: list[dict[str, Any]] = []


class _Hook(BaseHTTPRequestHandler):
    """Takes what the webhook is told."""

    def do_POST(self) -> None:
        TOLD.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@pytest.fixture(scope="module")
def hook() -> Iterator[str]:
    with answering(_Hook) as address:
        yield f"{address}/hooks/1"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, hook: str) -> Iterator[Pipeline]:
    made = Pipeline(
        tmp_path_factory.mktemp("retrain") / "home",
        bundles=trained_card(),
        env={"TIDEGATE_WEBHOOK": hook},
    )
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def history() -> pd.DataFrame:
    return simulate_history(load_profile("card"), COUNT, seed=4)


def retrain(pipeline: Pipeline, code: int, *arguments: str) -> dict[str, Any]:
    done = pipeline.run("retrain", "--json", *arguments, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    (text, report) = TOLD[-1].values()
    assert (report, document["why"] in text) == (document, True)
    return document


def champion(pipeline: Pipeline) -> str:
    rows = json.loads(pipeline.run("models", "list", "--json").stdout)
    return next(str(row["bundle"]) for row in rows if row["champion"])


def test_rows_and_verdicts_of_the_database_make_a_better_champion(
    pipeline: Pipeline, history: pd.DataFrame, tmp_path: Path
) -> None:
    mixed = history.assign(label=np.random.default_rng(1).permutation(history["label"]))
    mixed.to_parquet(tmp_path / "mixed.parquet")
    done = pipeline.run(
        "train", "--history", str(tmp_path / "mixed.parquet"), "--json", timeout=300
    )
    poor = json.loads(done.stdout)["bundle"]
    assert pipeline.run("models", "promote", poor).returncode == 0
    history.drop(columns="label").to_parquet(tmp_path / "rows.parquet")
    assert pipeline.run("send", str(tmp_path / "rows.parquet"), timeout=300).returncode == 0
    verdicts = [
        {
            "transaction_id": name,
            "verdict": "fraud" if fraud else "legitimate",
            "label_id": f"l-{name}",
        }
        for name, fraud in zip(history["transaction_id"], history["label"], strict=True)
    ]
    for start in range(0, COUNT, 5000):
        assert pipeline.post("/v1/feedback", verdicts[start : start + 5000])[0] == 202
    eventually(lambda: pipeline.processed("learn") == COUNT, 120, every=1.0)
    found = retrain(pipeline, 0, "--since", "2000-01-01")
    assert (found["outcome"], found["champion"], found["challenger"]) == (
        "promoted",
        poor,
        champion(pipeline),
    )
    assert (
        found["challenger_metrics"]["average_precision"]
        > found["champion_metrics"]["average_precision"] + 0.1
    )
    status, switched = pipeline.post("/v1/models/rollback", {})
    assert (status, switched["champion"], switched["previous"]) == (202, poor, found["challenger"])
    eventually(
        lambda: {one["bundle"] for one in pipeline.get("/v1/models")[1]["scorers"]} == {poor}, 20
    )


def decided_again(pipeline: Pipeline, *arguments: str) -> dict[str, Any]:
    done = pipeline.run("backtest", "--json", *arguments, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (pipeline.home / "backtest" / "report.html").stat().st_size > 10_000
    document: dict[str, Any] = json.loads(done.stdout)
    assert (document["rows"], document["verdicts"]) == (COUNT, COUNT)
    return document


def test_a_challenger_decides_the_rows_and_the_raw_topic_again(pipeline: Pipeline) -> None:
    poor = champion(pipeline)
    better = next(
        one["bundle"] for one in pipeline.get("/v1/models")[1]["bundles"] if not one["champion"]
    )
    rows = decided_again(pipeline, "--bundle", better, "--since", "2000-01-01")
    assert (rows["champion"]["name"], rows["candidate"]["name"]) == (
        f"as decided by {poor}",
        f"challenger {better}",
    )
    topic = decided_again(pipeline, "--bundle", better, "--topic")
    assert topic["champion"]["name"] == f"champion {poor}"
    for found in (rows, topic):
        assert found["candidate"]["metrics"]["average_precision"] > (
            found["champion"]["metrics"]["average_precision"] + 0.1
        )
        assert found["disagreements"]["examples"]
    stored = pipeline.get(
        "/v1/transactions/" + rows["disagreements"]["examples"][0]["transaction_id"]
    )[1]
    assert {name: stored[name] for name in ("decision", "score")} == {
        name: rows["disagreements"]["examples"][0]["champion"][name]
        for name in ("decision", "score")
    }
    same = decided_again(pipeline, "--bundle", "champion", "--topic")
    assert same["disagreements"]["rows"] == 0
    assert champion(pipeline) == poor


def test_a_file_serves_as_well_and_the_margin_is_kept_to(
    pipeline: Pipeline, history: pd.DataFrame, tmp_path: Path
) -> None:
    before = champion(pipeline)
    history.to_csv(tmp_path / "new.csv", index=False)
    found = retrain(pipeline, 3, "--data", str(tmp_path / "new.csv"), "--margin", "0.99")
    assert (found["outcome"], champion(pipeline)) == ("kept", before)
    assert found["challenger"] != before


def test_bad_data_changes_nothing_and_leaves_a_report(
    pipeline: Pipeline, history: pd.DataFrame, tmp_path: Path
) -> None:
    before, file = champion(pipeline), tmp_path / "bad.parquet"
    history.assign(amount=-1.0).to_parquet(file)
    found = retrain(pipeline, 65, "--data", str(file))
    assert "rejected rows: 20,000 of 20,000" in found["why"]
    history.drop(columns="merchant").to_parquet(file)
    found = retrain(pipeline, 65, "--data", str(file))
    assert ("merchant" in found["why"], found["checks"][0]["name"]) == (True, "schema")
    assert champion(pipeline) == before
    newest = max((pipeline.home / "retrain").glob("*.json"))
    assert json.loads(newest.read_text()) == found
    assert pipeline.run("retrain", "--data", str(tmp_path / "none.csv")).returncode == 78


def test_a_shadow_scores_beside_the_champion_and_is_compared(
    pipeline: Pipeline, history: pd.DataFrame
) -> None:
    before = champion(pipeline)
    other = next(
        one["bundle"] for one in pipeline.get("/v1/models")[1]["bundles"] if not one["champion"]
    )
    assert pipeline.run("models", "compare").returncode == 78
    assert pipeline.run("models", "shadow", other).returncode == 0
    row = {**history.drop(columns="label").iloc[0].to_dict(), "timestamp": "2026-01-31T12:00:00Z"}
    row = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in row.items()
    }
    numbers = iter(range(1000))

    def shadowed() -> bool:
        name = f"beside-{next(numbers)}"
        assert (
            pipeline.post("/v1/transactions?wait_ms=5000", row | {"transaction_id": name})[0] == 200
        )
        found = eventually(
            lambda: (got := pipeline.get(f"/v1/transactions/{name}"))[0] == 200 and got[1], 20
        )
        return bool(found["bundle"] == before and "shadow" in found["scores"])

    eventually(shadowed, 20)
    found = json.loads(pipeline.run("models", "compare", "--json").stdout)
    assert (found["shadow"], found["rows"] >= 1, 0 <= found["agreement"] <= 1) == (
        other,
        True,
        True,
    )
    assert pipeline.run("models", "shadow", "--off").returncode == 0
    eventually(lambda: not shadowed(), 20)
